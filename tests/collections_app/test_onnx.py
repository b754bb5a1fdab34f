import threading
from pathlib import Path

import numpy as np
import pytest

from collections_app.embeddings.base import Abandoned, VendorError, normalised
from collections_app.embeddings.onnx import MAX_TOKENS, OnnxEmbedder, is_model_folder
from tests.support.onnx_model import write_model

VOCABULARY = {"[UNK]": 0, "red": 1, "green": 2, "blue": 3}
TABLE = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_model(tmp_path / "tiny", VOCABULARY, TABLE)
    return str(tmp_path / "tiny")


def test_a_text_is_the_mean_of_its_hidden_states_without_the_padding(folder):
    texts = ["red", "red green", "blue blue blue red", "green"] * 5
    rows = {"red": [1, 0, 0], "red green": [1, 1, 0], "blue blue blue red": [1, 0, 3], "green": [0, 1, 0]}
    vectors = OnnxEmbedder(folder).embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, normalised(np.array([rows[text] for text in texts])), atol=1e-6)


def test_texts_are_cut_at_256_tokens(folder):
    vectors = OnnxEmbedder(folder).embed(["red " * MAX_TOKENS + "blue " * 500])
    np.testing.assert_allclose(vectors, [[1, 0, 0]], atol=1e-6)


def test_an_empty_text_is_embedded_too(folder):
    assert OnnxEmbedder(folder).embed(["", "red"]).shape == (2, 3)


def test_it_knows_its_dimension_after_the_first_text(folder):
    embedder = OnnxEmbedder(folder)
    assert embedder.dimension is None
    embedder.embed_query("red")
    assert embedder.dimension == 3


def test_it_can_be_abandoned(folder):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Abandoned):
        OnnxEmbedder(folder).embed(["red"], cancel=cancel)


def test_a_folder_counts_as_a_model_when_both_files_are_there(folder):
    assert is_model_folder(folder)
    (Path(folder) / "tokenizer.json").unlink()
    assert not is_model_folder(folder)
    assert not is_model_folder("")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_damaged_model_is_told_without_its_path(folder, name):
    (Path(folder) / name).write_bytes(b"damaged")
    with pytest.raises(VendorError) as caught:
        OnnxEmbedder(folder).embed(["red"])
    assert name in caught.value.message
    assert folder not in caught.value.message + caught.value.hint
