import threading

import numpy as np
import pytest

from collections_app.embeddings.base import Abandoned, Embedder, clean, normalised


class Lengths(Embedder):
    vendor, model = "test", "lengths"

    def _vectors(self, texts, cancel):
        return normalised(np.array([[len(text), 1] for text in texts], dtype=np.float32))


def test_no_texts_give_no_vectors_of_the_known_dimension():
    embedder = Lengths()
    assert embedder.embed([]).shape == (0, 0)
    embedder.embed(["a"])
    assert embedder.embed([]).shape == (0, 2)


def test_a_cancelled_call_does_not_begin():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Abandoned):
        Lengths().embed(["a"], cancel=cancel)


def test_texts_are_made_fit_for_every_vendor_and_database():
    assert clean("plain") == "plain"
    assert clean("naïve 😀") == "naïve 😀"
    assert clean("a\x00b") == "ab"
    assert clean("half \ud83d character") == "half ? character"


def test_rows_are_scaled_to_length_one_even_when_their_squares_overflow():
    rows = normalised(np.array([[3e30, 4e30], [0.0, 1e-30]], dtype=np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]])
def test_rows_without_a_direction_are_refused(bad):
    with pytest.raises(ValueError, match="vectors"):
        normalised(np.array([[1.0, 0.0], bad]))
