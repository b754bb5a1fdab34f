"""The built-in model: static word vectors out of the ``wordllama`` wheel (MIT). No network, no start-up to speak of.

A text's vector is the mean of its tokens' vectors (as ``WordLlamaInference.embed(texts, norm=True)`` of the wheel
computes it, without special tokens and padding). The wheel's own code is not imported: its loader looks for the
files in another folder when offline, and then tries to download them.
"""

import hashlib
import os
import threading
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from safetensors.numpy import load
from tokenizers import Tokenizer

from collections_app.embeddings.base import Abandoned, Embedder, Vectors, VendorError

MODEL = "wordllama-l2-supercat-256"
DIMENSION = 256
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
# Another release of the wheel with other weights would make vectors that do not fit those already stored.
SHA256 = {
    WEIGHTS: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    TOKENIZER: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}
TOKENS_AT_ONCE = 8192  # bounds the gathered rows of one text to 8 MB


class LocalEmbedder(Embedder):
    """The static model. Its 32 MB are read at the first text, once for all instances of a process."""

    vendor = "local"
    model = MODEL
    dimension = DIMENSION
    batch_size = 256

    def _vectors(self, texts: list[str], cancel: threading.Event | None) -> Vectors:
        tokenizer, weights = _model()
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for start in range(0, len(texts), self.batch_size):
            if cancel is not None and cancel.is_set():
                raise Abandoned
            part = texts[start : start + self.batch_size]
            encoded = tokenizer.encode_batch_fast(part, add_special_tokens=False)
            _pool([one.ids for one in encoded], weights, vectors[start : start + len(part)])
        return vectors


def _pool(token_ids: list[list[int]], weights: Vectors, out: Vectors) -> None:
    """Write the normalised mean of each text's token vectors into *out*, shape (texts, dimension).

    One sum per text over float32 rows: 40,000 texts/s of 160 tokens on one core, against 7,000 for
    ``np.add.reduceat`` and 17,000 for float16 rows with a count matrix (which would halve the memory); the
    tokenizer does 7,700. A sum has the mean's direction, so nothing is divided.
    """
    lengths = [len(ids) for ids in token_ids]
    ids = np.fromiter(chain.from_iterable(token_ids), dtype=np.intp, count=sum(lengths))
    start = 0
    for row, length in zip(out, lengths, strict=True):
        row[:] = 0
        for piece in range(start, start + length, TOKENS_AT_ONCE):
            row += weights[ids[piece : min(piece + TOKENS_AT_ONCE, start + length)]].sum(axis=0)
        start += length
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    # A text without tokens has no direction; one and the same for all keeps it storable and far from most others.
    out[norms[:, 0] == 0, 0] = 1
    norms[norms == 0] = 1
    out /= norms


@lru_cache(maxsize=1)
def _model() -> tuple[Tokenizer, Vectors]:
    # Workers are processes, one job each: their threads would only fight over the same cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = _folder()
    tokenizer = Tokenizer.from_buffer(_verified(folder, TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    weights = load(_verified(folder, WEIGHTS))["embedding.weight"]
    return tokenizer, np.ascontiguousarray(weights, dtype=np.float32)


def has_files() -> bool:
    try:
        folder = _folder()
    except VendorError:
        return False
    return all((folder / name).is_file() for name in SHA256)


def _folder() -> Path:
    spec = find_spec("wordllama")  # finds the folder without running its code
    if spec is None or not spec.submodule_search_locations:
        raise VendorError(
            "vendor_not_found",
            "The built-in embedding model is not installed.",
            hint="The operator has to install the requirements again: `pip install -r requirements.txt`.",
        )
    return Path(spec.submodule_search_locations[0])


def _verified(folder: Path, name: str) -> bytes:
    """The bytes of the model's file *name*, after comparing them with the ones this server was made for."""
    path = folder / name
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise VendorError(
            "vendor_not_found",
            f"The built-in embedding model's file {path.name} is missing or not the expected one.",
            hint="The operator has to install the wordllama release of requirements.txt: another would not fit the "
            "vectors already stored.",
        )
    return content
