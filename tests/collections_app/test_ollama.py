import numpy as np
import pytest

from collections_app.embeddings.base import VendorError, normalised
from collections_app.embeddings.ollama import OllamaEmbedder
from tests.support.vendor import DIMENSION, vector_of


def test_texts_become_vectors_in_requests_of_32_with_two_in_flight(vendor):
    vendor.fail("slow", times=4, seconds=0.1)
    texts = [f"text {n}" for n in range(100)]
    vectors = OllamaEmbedder("nomic-embed-text", vendor.url).embed(texts)
    np.testing.assert_allclose(vectors, normalised(np.array([vector_of(text) for text in texts])), atol=1e-6)
    assert {request.path for request in vendor.received} == {"/api/embed"}
    assert sorted(len(request.texts) for request in vendor.received) == [4, 32, 32, 32]
    assert vendor.most_in_flight == 2


def test_a_model_that_is_not_pulled_says_how_to_pull_it(vendor):
    vendor.fail_with(404, body={"error": 'model "nomic" not found, try pulling it first'})
    with pytest.raises(VendorError) as caught:
        OllamaEmbedder("nomic", vendor.url).embed(["one"])
    assert caught.value.code == "vendor_not_found"
    assert "ollama pull nomic" in caught.value.hint
    assert "pulling" in caught.value.context["said"]


@pytest.mark.parametrize("kind", ["html", "wrong_count", "nan", "no_embeddings"])
def test_an_answer_without_usable_vectors_is_nonsense(vendor, kind):
    vendor.fail(kind)
    with pytest.raises(VendorError) as caught:
        OllamaEmbedder("nomic", vendor.url).embed(["one", "two"])
    assert caught.value.code == "vendor_nonsense"


def test_a_cold_start_is_waited_for(vendor):
    vendor.fail("slow", seconds=0.3)
    assert OllamaEmbedder("nomic", vendor.url).embed(["one"]).shape == (1, DIMENSION)
    assert OllamaEmbedder.patience.read_seconds == 300
