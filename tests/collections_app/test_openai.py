import threading
import time
from functools import partial

import numpy as np
import pytest

from collections_app.embeddings.base import Abandoned, VendorError, normalised
from collections_app.embeddings.openai import OpenAIEmbedder
from tests.support.race import race
from tests.support.vendor import DIMENSION, Vendor, vector_of

KEY = "sk-secret-0123456789"


def embedder(vendor: Vendor, **more) -> OpenAIEmbedder:
    return OpenAIEmbedder("small", vendor.url, KEY, **{"backoff_seconds": 0.001, **more})


def expected(texts: list[str]) -> np.ndarray:
    return normalised(np.array([vector_of(text) for text in texts]))


def failure(vendor: Vendor, texts=("one", "two")) -> VendorError:
    with pytest.raises(VendorError) as caught:
        embedder(vendor).embed(list(texts))
    assert KEY not in f"{caught.value.message} {caught.value.hint} {caught.value.context}"
    assert caught.value.hint
    return caught.value


def test_texts_become_vectors_of_length_one_in_their_order(vendor):
    texts = [f"text number {n}" for n in range(150)]
    one = embedder(vendor)
    vectors = one.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-6)
    assert one.dimension == DIMENSION
    assert sorted(len(request.texts) for request in vendor.received) == [22, 64, 64]


def test_the_request_is_what_openai_documents(vendor):
    embedder(vendor).embed(["one"])
    request = vendor.received[0]
    assert request.path == "/v1/embeddings"
    assert request.body == {"model": "small", "input": ["one"], "encoding_format": "float"}
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_no_key_sends_no_authorization(vendor):
    OpenAIEmbedder("small", vendor.url).embed(["one"])
    assert "authorization" not in vendor.received[0].headers


def test_up_to_four_requests_are_in_flight(vendor):
    vendor.fail("slow", times=8, seconds=0.1)
    embedder(vendor).embed([f"text {n}" for n in range(64 * 8)])
    assert vendor.most_in_flight == 4


def test_long_texts_go_in_smaller_requests(vendor):
    embedder(vendor).embed(["word " * 12_000] * 3)
    assert [len(request.texts) for request in vendor.received] == [1, 1, 1]


def test_an_empty_text_is_sent_as_a_blank_since_vendors_refuse_it(vendor):
    assert embedder(vendor).embed(["", "one"]).shape == (2, DIMENSION)
    assert vendor.received[0].texts == [" ", "one"]


def test_answers_in_another_order_are_sorted_by_index(vendor):
    vendor.fail("shuffled")
    np.testing.assert_allclose(embedder(vendor).embed(["one", "two"]), expected(["one", "two"]), atol=1e-6)


def test_a_batch_that_is_too_large_is_halved_and_the_next_begins_smaller(vendor):
    vendor.max_inputs = 20
    one = embedder(vendor)
    texts = [f"text {n}" for n in range(64)]
    np.testing.assert_allclose(one.embed(texts), expected(texts), atol=1e-6)
    refused = sum(len(request.texts) > 20 for request in vendor.received)
    assert refused == 2  # all 64, then the first 32; the other 32 are not tried whole
    vendor.received.clear()
    one.embed(texts)
    assert {len(request.texts) for request in vendor.received} == {16}


def test_a_single_text_that_is_too_large_is_an_error(vendor):
    vendor.max_inputs = 0
    error = failure(vendor, ["one"])
    assert (error.code, error.transient) == ("vendor_bad_request", False)
    assert "chunk_size" in error.hint


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(vendor, status):
    vendor.fail_with(status, times=3)
    assert embedder(vendor).embed(["one"]).shape == (1, DIMENSION)
    assert len(vendor.received) == 4


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "vendor_timeout"),
        (429, "vendor_rate_limited"),
        (500, "vendor_unavailable"),
        (503, "vendor_unavailable"),
        (504, "vendor_timeout"),
    ],
)
def test_a_failure_that_does_not_pass_is_handed_up_as_transient(vendor, status, code):
    vendor.fail_with(status, times=4)
    error = failure(vendor, ["one"])
    assert (error.code, error.transient) == (code, True)
    assert len(vendor.received) == 4


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "vendor_bad_request"),
        (401, "vendor_rejected"),
        (403, "vendor_rejected"),
        (404, "vendor_not_found"),
        (405, "vendor_not_found"),
        (422, "vendor_bad_request"),
    ],
)
def test_a_lasting_failure_is_told_at_once(vendor, status, code):
    vendor.fail_with(status, body={"error": {"message": f"wrong key {KEY}"}})
    error = failure(vendor, ["one"])
    assert (error.code, error.transient) == (code, False)
    assert len(vendor.received) == 1


def test_a_used_up_quota_is_not_waited_for(vendor):
    vendor.fail_with(429, body={"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    error = failure(vendor, ["one"])
    assert (error.code, error.transient) == ("vendor_rejected", False)


def test_a_redirect_is_not_followed_since_it_would_carry_the_key(vendor):
    vendor.fail_with(307, headers={"Location": "https://elsewhere.example/v1"})
    error = failure(vendor, ["one"])
    assert error.code == "vendor_not_found"
    assert "https://elsewhere.example/v1" in error.hint


def test_a_short_retry_after_is_honoured(vendor):
    vendor.fail_with(429, headers={"Retry-After": "1"})
    began = time.monotonic()
    embedder(vendor).embed(["one"])
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("asked", ["120", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_long_retry_after_is_handed_up(vendor, asked):
    vendor.fail_with(503, headers={"Retry-After": asked})
    error = failure(vendor, ["one"])
    assert error.retry_after is not None
    assert error.retry_after >= 120
    assert len(vendor.received) == 1


@pytest.mark.parametrize("kind", ["html", "wrong_count", "nan", "zeros", "ragged", "no_embeddings"])
def test_an_answer_without_usable_vectors_is_nonsense(vendor, kind):
    vendor.fail(kind)
    error = failure(vendor)
    assert (error.code, error.transient) == ("vendor_nonsense", False)
    assert len(vendor.received) == 1


def test_vectors_of_two_dimensions_in_one_call_are_nonsense(vendor):
    vendor.fail("wrong_dimension")
    assert failure(vendor, [f"text {n}" for n in range(100)]).code == "vendor_nonsense"


def test_a_connection_closed_in_the_middle_of_the_answer_is_tried_again(vendor):
    vendor.fail("close", times=2)
    assert embedder(vendor).embed(["one"]).shape == (1, DIMENSION)
    vendor.fail("close", times=4)
    error = failure(vendor, ["one"])
    assert (error.code, error.transient) == ("vendor_unavailable", True)


def test_a_server_that_is_not_there_is_unavailable():
    with Vendor() as gone:
        url = gone.url
    with pytest.raises(VendorError) as caught:
        OpenAIEmbedder("small", url, backoff_seconds=0.001).embed(["one"])
    assert (caught.value.code, caught.value.transient) == ("vendor_unavailable", True)
    assert url in caught.value.message


def test_a_server_that_does_not_answer_times_out(vendor):
    impatient = OpenAIEmbedder("small", vendor.url, backoff_seconds=0.001, read_seconds=0.2, tries=2)
    vendor.fail("hang", times=2)
    with pytest.raises(VendorError) as caught:
        impatient.embed(["one"])
    assert (caught.value.code, caught.value.transient) == ("vendor_timeout", True)


def test_a_hanging_request_is_abandoned_at_once_and_its_connection_closed(vendor):
    vendor.fail("hang", times=4)
    cancel = threading.Event()
    raised: list[BaseException] = []

    def call() -> None:
        try:
            embedder(vendor).embed([f"text {n}" for n in range(256)], cancel=cancel)
        except BaseException as error:
            raised.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert vendor.arrived.wait(5)
    cancelled = time.monotonic()
    cancel.set()
    caller.join(5)
    assert time.monotonic() - cancelled < 0.2
    assert isinstance(raised[0], Abandoned)
    assert vendor.hung_up.wait(5)


def test_a_wait_between_tries_is_abandoned_at_once(vendor):
    vendor.fail_with(429, times=4, headers={"Retry-After": "9"})
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Abandoned):
        embedder(vendor).embed(["one"], cancel=cancel)
    assert time.monotonic() - began < 1


def test_a_failed_request_stops_the_others(vendor):
    vendor.fail("hang", times=3)
    vendor.fail_with(401)
    assert failure(vendor, [f"text {n}" for n in range(256)]).code == "vendor_rejected"
    assert vendor.hung_up.wait(5)


def test_one_embedder_serves_many_threads(vendor):
    one = embedder(vendor)
    wrong: list[str] = []

    def call(number: int) -> None:
        texts = [f"thread {number} text {n}" for n in range(70)]
        if not np.allclose(one.embed(texts), expected(texts), atol=1e-6):
            wrong.append(str(number))

    race(*(partial(call, number) for number in range(8)))
    assert not wrong


def test_a_question_is_asked_once_and_remembered(vendor):
    one = embedder(vendor)
    first, second = one.embed_query("what is it"), one.embed_query("what is it")
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, expected(["what is it"])[0], atol=1e-6)
    assert len(vendor.received) == 1


def test_a_question_is_tried_twice_only(vendor):
    vendor.fail_with(500, times=4)
    with pytest.raises(VendorError):
        embedder(vendor).embed_query("what is it")
    assert len(vendor.received) == 2


def test_a_key_that_no_header_can_carry_is_rejected_before_it_is_sent(vendor):
    with pytest.raises(VendorError) as caught:
        OpenAIEmbedder("small", vendor.url, "sk-ключ").embed(["one"])
    assert caught.value.code == "vendor_rejected"
    assert not vendor.received
