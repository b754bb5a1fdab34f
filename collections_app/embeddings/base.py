"""What an embedder is, whatever makes its vectors, and how its vendor may fail."""

import abc
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.base import PluginError

Vectors = NDArray[np.float32]  # (n, dimension), each row of length 1
Vector = NDArray[np.float32]  # (dimension,), length 1


class VendorError(PluginError):
    """The embedding vendor did not deliver.

    Codes: ``vendor_unavailable``, ``vendor_timeout``, ``vendor_rate_limited`` (transient); ``vendor_rejected``
    (credentials or quota), ``vendor_not_found`` (model or address), ``vendor_bad_request``, ``vendor_nonsense`` (an
    answer that holds no usable vectors), ``dimension_mismatch`` (vectors that do not fit the collection).

    :param retry_after: seconds the vendor asked to be left alone, None when it did not say
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        transient: bool = False,
        retry_after: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint, transient=transient, context=context)
        self.retry_after = retry_after


class Abandoned(Exception):
    """The caller's ``cancel`` was set while a request was in flight; its connection is closed, its answer is lost."""


class Embedder(abc.ABC):
    """Turns texts into vectors of length 1. One instance serves all threads of a process.

    * ``vendor``, ``model``: as the collection names them
    * ``dimension``: of the latest vectors; None until the first
    * ``batch_size``: how many texts per call keep it fully busy
    """

    vendor: str
    model: str
    dimension: int | None = None
    batch_size: int = 64

    def embed(self, texts: Sequence[str], *, cancel: threading.Event | None = None) -> Vectors:
        """The vectors of *texts* in the same order: float32, shape ``(len(texts), dimension)``, rows of length 1.

        :param cancel: set it to abandon the call; noticed within 0.2 s, also while the vendor hangs
        :raises VendorError: after its own retries
        :raises Abandoned: *cancel* was set
        """
        if cancel is not None and cancel.is_set():
            raise Abandoned
        if not texts:
            return np.empty((0, self.dimension or 0), dtype=np.float32)
        vectors = self._vectors([clean(text) for text in texts], cancel)
        self.dimension = vectors.shape[1]
        return vectors

    def embed_query(self, text: str) -> Vector:
        """The vector of one question, shape ``(dimension,)``. Somebody waits for it, so it is less patient.

        :raises VendorError: see :meth:`embed`
        """
        vector: Vector = self.embed([text])[0]
        return vector

    @abc.abstractmethod
    def _vectors(self, texts: list[str], cancel: threading.Event | None) -> Vectors:
        """:meth:`embed` for texts that are clean and at least one."""


def clean(text: str) -> str:
    """*text* as every vendor and database can take it: no NUL (PostgreSQL), no half characters (UTF-8)."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text


def normalised(vectors: NDArray[Any]) -> Vectors:
    """The rows of *vectors*, shape (n, d), scaled to length 1 as float32.

    :raises ValueError: a row that is not finite or has no direction
    """
    rows = np.asarray(vectors, dtype=np.float64)  # squares of large float32 values would overflow
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ValueError("vectors that hold NaN or infinity")
    if not (lengths > 0).all():
        raise ValueError("vectors of zeros")
    unit: Vectors = (rows / lengths).astype(np.float32)
    return unit
