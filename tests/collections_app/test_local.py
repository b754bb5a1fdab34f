import threading
import time

import numpy as np
import pytest

from collections_app.embeddings import local
from collections_app.embeddings.base import Abandoned, VendorError
from collections_app.embeddings.local import LocalEmbedder

# The first eight numbers of the vector of this sentence, as the wheel's own code makes it (norm=True).
SAMPLE = "The quick brown fox jumps over the lazy dog."
SAMPLE_START = [0.0300661, -0.0147121, 0.0035834, 0.0643504, 0.0456126, -0.0206442, -0.0189355, 0.1113002]


def test_a_sentence_gets_the_vector_that_the_wheels_own_code_gives():
    vector = LocalEmbedder().embed([SAMPLE])[0]
    np.testing.assert_allclose(vector[:8], SAMPLE_START, atol=1e-6)


def test_vectors_have_256_dimensions_and_length_one_in_the_order_of_the_texts():
    texts = [f"text {n} about {'cats' if n % 2 else 'dogs'}" for n in range(600)]
    vectors = LocalEmbedder().embed(texts)
    assert vectors.shape == (600, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[517], LocalEmbedder().embed([texts[517]])[0], atol=1e-6)


def test_texts_about_the_same_are_nearer():
    cat, kitten, revenue = LocalEmbedder().embed(["a sleeping cat", "the kitten sleeps", "quarterly revenue"])
    assert cat @ kitten > cat @ revenue + 0.2


def test_a_text_without_words_gets_one_and_the_same_vector():
    vectors = LocalEmbedder().embed(["", "\x00", "text"])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert np.linalg.norm(vectors[0]) == 1


def test_a_very_long_text_is_pooled_in_pieces(monkeypatch):
    text = "many words in a row, again and again. " * 50
    whole = LocalEmbedder().embed([text])
    monkeypatch.setattr(local, "TOKENS_AT_ONCE", 7)
    np.testing.assert_allclose(LocalEmbedder().embed([text]), whole, atol=1e-5)


def test_half_characters_do_no_harm():
    assert LocalEmbedder().embed(["half \ud83d character"]).shape == (1, 256)


def test_the_question_and_the_passage_share_one_space():
    embedder = LocalEmbedder()
    np.testing.assert_allclose(embedder.embed_query("a cat"), embedder.embed(["a cat"])[0], atol=1e-6)


def test_it_can_be_abandoned_between_batches():
    cancel = threading.Event()
    threading.Timer(0.05, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Abandoned):
        LocalEmbedder().embed(["some words " * 200] * 20_000, cancel=cancel)
    assert time.monotonic() - began < 5


def test_another_release_of_the_model_is_refused(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / local.WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(VendorError) as caught:
        local._verified(tmp_path, local.WEIGHTS)
    assert caught.value.code == "vendor_not_found"
    assert "l2_supercat_256.safetensors" in caught.value.message


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(VendorError, match="not installed") as caught:
        local._folder()
    assert "requirements.txt" in caught.value.hint
