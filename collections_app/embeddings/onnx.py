"""A sentence model in a folder: ``model.onnx`` and ``tokenizer.json``, run by onnxruntime (markitdown brings it)."""

import importlib
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from collections_app.embeddings.base import Abandoned, Embedder, Vectors, VendorError, normalised

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MAX_TOKENS = 256
BATCH = 8  # more texts at once pad more and gain nothing on a processor

Tokens = NDArray[np.int64]  # (texts, longest text)


def is_model_folder(path: str) -> bool:
    folder = Path(path)
    return bool(path) and (folder / MODEL_FILE).is_file() and (folder / TOKENIZER_FILE).is_file()


class OnnxEmbedder(Embedder):
    """Mean of the last hidden states under the attention mask; texts are cut at 256 tokens."""

    vendor = "local"
    batch_size = 64

    def __init__(self, folder: str) -> None:
        self.model = folder
        self._loading = threading.Lock()

    def _vectors(self, texts: list[str], cancel: threading.Event | None) -> Vectors:
        """Neighbours in length share a batch, so that little is computed for padding."""
        with self._loading:
            tokenizer, _ = self._tokenizer, self._session
        encoded = tokenizer.encode_batch(texts)
        by_length = sorted(range(len(texts)), key=lambda place: len(encoded[place].ids))
        rows: list[NDArray[Any]] = [np.empty(0)] * len(texts)
        for start in range(0, len(texts), BATCH):
            if cancel is not None and cancel.is_set():
                raise Abandoned
            places = by_length[start : start + BATCH]
            for place, row in zip(places, self._run([encoded[place].ids for place in places]), strict=True):
                rows[place] = row
        try:
            return normalised(np.stack(rows))
        except ValueError as error:
            raise self._unusable(f"makes {error}") from error

    def _run(self, token_ids: list[list[int]]) -> NDArray[Any]:
        """The pooled vectors of one batch, shape (texts, dimension)."""
        longest = max(1, *map(len, token_ids)) if len(token_ids) > 1 else max(1, len(token_ids[0]))
        ids: Tokens = np.zeros((len(token_ids), longest), dtype=np.int64)
        mask: Tokens = np.zeros_like(ids)
        for row, one in enumerate(token_ids):
            ids[row, : len(one)] = one
            mask[row, : max(1, len(one))] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {entry.name for entry in self._session.get_inputs()}
        if wanted - given.keys():
            raise self._unusable(f"asks for unknown inputs {sorted(wanted - given.keys())}")
        states = np.asarray(self._session.run(None, {name: given[name] for name in wanted})[0])
        if states.ndim == 2:  # the model pools by itself
            return states
        weights = mask[:, :, np.newaxis].astype(np.float32)
        pooled: NDArray[Any] = (states * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        try:
            tokenizer = Tokenizer.from_file(str(Path(self.model) / TOKENIZER_FILE))
        except Exception as error:  # the library raises bare Exception
            raise self._unusable(f"has no readable {TOKENIZER_FILE}") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        onnxruntime = importlib.import_module("onnxruntime")  # 50 MB that only this vendor needs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, (os.cpu_count() or 2) // 2)  # other workers compute as well
        try:
            return onnxruntime.InferenceSession(
                str(Path(self.model) / MODEL_FILE), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library's errors share no base class but this
            raise self._unusable(f"has no usable {MODEL_FILE}") from error

    def _unusable(self, what: str) -> VendorError:
        return VendorError(
            "vendor_not_found",
            f"The embedding model in folder {Path(self.model).name!r} {what}.",
            hint=f"The operator's EMBEDDINGS_MODEL must name a folder with {MODEL_FILE} and {TOKENIZER_FILE} of a "
            "sentence model.",
        )
