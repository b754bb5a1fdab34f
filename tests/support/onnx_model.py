"""A sentence model of a few bytes: its hidden states are rows of a table, looked up by token id.

Written field by field in protobuf's wire format, since the onnx package is not among the dependencies.
"""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

FLOAT, INT64 = 1, 7  # TensorProto.DataType


def write_model(folder: Path, vocabulary: dict[str, int], table: np.ndarray) -> None:
    """``model.onnx`` and ``tokenizer.json`` in *folder*; *table* has shape (tokens, dimension)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "model.onnx").write_bytes(_model(table))


def _model(table: np.ndarray) -> bytes:
    """ModelProto: hidden = Gather(table, input_ids); the mask is an input, as in real models, and is not used here."""
    node = _text(1, "table") + _text(1, "input_ids") + _text(2, "hidden") + _text(4, "Gather")
    graph = (
        _message(1, node)
        + _text(2, "lookup")
        + _message(5, _tensor("table", table))
        + _message(11, _value("input_ids", INT64, ["texts", "tokens"]))
        + _message(11, _value("attention_mask", INT64, ["texts", "tokens"]))
        + _message(12, _value("hidden", FLOAT, ["texts", "tokens", table.shape[1]]))
    )
    opset = _number(2, 13)
    return _number(1, 8) + _message(7, graph) + _message(8, opset)


def _tensor(name: str, values: np.ndarray) -> bytes:
    sizes = b"".join(_number(1, size) for size in values.shape)
    return sizes + _number(2, FLOAT) + _text(8, name) + _message(9, values.astype("<f4").tobytes())


def _value(name: str, kind: int, sizes: list[str | int]) -> bytes:
    dimensions = b"".join(_message(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in sizes)
    tensor_type = _number(1, kind) + _message(2, dimensions)
    return _text(1, name) + _message(2, _message(1, tensor_type))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _message(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _text(tag: int, value: str) -> bytes:
    return _message(tag, value.encode())
