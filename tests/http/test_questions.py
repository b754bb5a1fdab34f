"""Adding documents and asking, with the built-in model (contract, 6.4 and 7)."""

import pytest

from collections_app import links
from tests.http.shapes import RECEIPT, has_shape, is_error, is_invalid
from tests.support.vendor import Fault, Vendor

pytestmark = pytest.mark.django_db

DOCUMENTS = [
    {"text": "The moon pulls the sea; so there are tides.", "metadata": {"page": 1, "filename": "tides.txt"}},
    {"text": "Bread needs flour, water, salt and time."},
]


@pytest.fixture
def filled(api, collection):
    assert api.send("POST", f"/collections/{collection.pk}/documents", {"documents": DOCUMENTS}).status_code == 200
    return collection


def ask(api, collection, body, plugin=None):
    query = "" if plugin is None else f"?plugin_name={plugin}"
    return api.send("POST", f"/collections/{collection.pk}/query{query}", body)


# -- Documents --------------------------------------------------------------------------------------


def test_documents_are_added_at_once(api, collection):
    answer = api.send("POST", f"/collections/{collection.pk}/documents", {"documents": DOCUMENTS})
    receipt = answer.json()
    has_shape(receipt, RECEIPT)
    assert receipt["documents_added"] == 2
    assert receipt["success"] is True
    absent = ("status", "file_path", "file_url", "original_filename", "plugin_name", "file_registry_id")
    assert [receipt[key] for key in absent] == [None] * 6


def test_no_documents_are_fine_too(api, collection):
    answer = api.send("POST", f"/collections/{collection.pk}/documents", {"documents": []})
    assert answer.json()["documents_added"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"documents": None},
        {"documents": {}},
        {"documents": ["text"]},
        {"documents": [None]},
        {"documents": [{}]},
        {"documents": [{"text": 5}]},
        {"documents": [{"text": "a", "metadata": 5}]},
        {"documents": [{"text": "a", "metadata": {"b": {"c": 1}}}]},
    ],
)
def test_what_is_no_list_of_documents_is_422(api, collection, body):
    is_invalid(api.send("POST", f"/collections/{collection.pk}/documents", body), "body", "documents")


def test_documents_for_a_missing_collection_are_404(api):
    is_error(api.send("POST", "/collections/999/documents", {"documents": []}), 404)


def test_text_that_no_database_takes_is_cleaned(api, collection):
    documents = [{"text": "half \ud800 and \x00 nothing"}]
    assert api.send("POST", f"/collections/{collection.pk}/documents", {"documents": documents}).status_code == 200
    assert ask(api, collection, {"query_text": "half"}).json()["count"] == 1


# -- Questions --------------------------------------------------------------------------------------


def test_an_answer_has_the_nearest_first_with_numbers_and_timing(api, filled):
    answer = ask(api, filled, {"query_text": "Why are there tides?", "threshold": -1}).json()
    assert set(answer) == {"results", "count", "timing", "query"}
    assert answer["count"] == len(answer["results"]) == 2
    assert answer["query"] == "Why are there tides?"
    assert all(isinstance(answer["timing"][key], float) for key in ("total_seconds", "total_ms"))
    first, second = answer["results"]
    assert set(first) == {"similarity", "data", "metadata"}
    assert 1 >= first["similarity"] > second["similarity"] >= -1
    assert "moon" in first["data"]
    assert first["metadata"]["page"] == 1
    assert {"document_id", "ingestion_timestamp", "embedding_vendor", "embedding_model"} <= set(first["metadata"])


@pytest.mark.parametrize(
    "body",
    [
        {"query_text": "tides", "top_k": 1, "threshold": -1},
        {"query_text": "tides", "top_k": "1", "threshold": "-1"},
        {"query_text": "tides", "top_k": 9, "threshold": -1, "plugin_params": {"top_k": 1}},
        {"query_text": "tides", "plugin_params": {"top_k": 1, "threshold": -1, "return_parent_context": True}},
    ],
)
def test_top_k_limits_and_plugin_params_win(api, filled, body):
    assert ask(api, filled, body).json()["count"] == 1


def test_the_threshold_filters_after_the_best_were_taken(api, filled):
    assert ask(api, filled, {"query_text": "tides", "threshold": 1.1}).json()["results"] == []


def test_more_than_there_are_can_be_asked_for(api, filled):
    assert ask(api, filled, {"query_text": "tides", "top_k": 10**6, "threshold": -1}).json()["count"] == 2


def test_an_empty_collection_answers_nothing(api, collection):
    assert ask(api, collection, {"query_text": "tides"}).json()["results"] == []


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_question_is_400(api, filled, text):
    is_error(ask(api, filled, {"query_text": text}), 400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query_text": None},
        {"query_text": 5},
        {"query_text": [{"type": "text", "text": "multimodal"}]},
        {"query_text": "a", "top_k": None},
        {"query_text": "a", "top_k": "many"},
        {"query_text": "a", "top_k": 1.5},
        {"query_text": "a", "threshold": None},
        {"query_text": "a", "threshold": "high"},
        {"query_text": "a", "plugin_params": []},
        {"query_text": "a", "plugin_params": None},
    ],
)
def test_a_wrong_shape_is_422(api, filled, body):
    is_invalid(ask(api, filled, body), "body", *list(body)[-1:])


@pytest.mark.parametrize(
    "body",
    [
        {"query_text": "a", "top_k": 0},
        {"query_text": "a", "top_k": -1},
        {"query_text": "a", "plugin_params": {"top_k": 0}},
        {"query_text": "a", "plugin_params": {"top_k": "many"}},
    ],
)
def test_values_that_make_no_sense_are_400(api, filled, body):
    assert "top_k" in is_error(ask(api, filled, body), 400)


@pytest.mark.parametrize("name", ["no_such_query", "simple_ingest", "", "%00", "..%2F"])
def test_an_unknown_query_plugin_is_404(api, filled, name):
    is_error(ask(api, filled, {"query_text": "a"}, name), 404)


def test_a_disabled_query_plugin_is_404(api, filled, settings):
    settings.KB_PLUGIN_MODES = {"SIMPLE_QUERY": "DISABLE"}
    is_error(ask(api, filled, {"query_text": "a"}), 404)


def test_a_query_plugin_that_breaks_is_400_and_says_nothing_of_its_insides(api, filled):
    detail = is_error(ask(api, filled, {"query_text": "a"}, "broken_query"), 400)
    assert "broken_query" in detail
    assert "RuntimeError" not in detail


def test_links_in_metadata_are_signed_when_answered_and_stay_the_same(api, collection):
    link = f"/static/ana/handbook/{'a' * 32}.html"
    metadata = {"file_url": link, "original_file_url": link, "source_url": "https://example.org/x", "other": link}
    documents = {"documents": [{"text": "tides", "metadata": metadata}]}
    api.send("POST", f"/collections/{collection.pk}/documents", documents)
    found = [ask(api, collection, {"query_text": "tides"}).json()["results"][0]["metadata"] for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["file_url"] == found[0]["original_file_url"] == f"{link}?{links.signature('a' * 32)}"
    assert found[0]["source_url"] == "https://example.org/x"
    assert found[0]["other"] == link


# -- Other ways to ask ------------------------------------------------------------------------------

CODES = [
    {"text": "Room B-204 is closed for repairs.", "metadata": {"page": 1}},
    {"text": "Rooms and buildings are locked at night.", "metadata": {"page": 2}},
    {"text": "The key of B-118 hangs with the porter.", "metadata": {"page": 3}},
]


@pytest.fixture
def rooms(api, collection):
    assert api.send("POST", f"/collections/{collection.pk}/documents", {"documents": CODES}).status_code == 200
    return collection


def test_hybrid_query_finds_codes_and_answers_with_similarity_and_score(api, rooms):
    answer = ask(api, rooms, {"query_text": "B-118", "threshold": -1}, "hybrid_query").json()
    assert answer["count"] == 3
    assert [set(row) for row in answer["results"]] == [{"similarity", "data", "metadata", "score"}] * 3
    assert answer["results"][0]["metadata"]["page"] == 3
    scores = [row["score"] for row in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= row["similarity"] <= 1 for row in answer["results"])


def test_the_similarity_of_hybrid_query_is_that_of_simple_query(api, rooms):
    body = {"query_text": "Who has the key of B-118?", "threshold": -1}
    simple, hybrid = (
        {row["data"]: row["similarity"] for row in ask(api, rooms, body, plugin).json()["results"]}
        for plugin in ("simple_query", "hybrid_query")
    )
    assert simple == hybrid


@pytest.mark.parametrize(
    "params",
    [{"weight": 1.5}, {"weight": -0.1}, {"weight": "much"}, {"candidates": 0}, {"candidates": 1001}, {"top_k": 0}],
)
def test_parameters_of_hybrid_query_that_make_no_sense_are_400(api, rooms, params):
    answer = ask(api, rooms, {"query_text": "key", "plugin_params": params}, "hybrid_query")
    assert next(iter(params)) in is_error(answer, 400)


@pytest.mark.parametrize("text", ['"', "NEAR(a b)", "text:*", "a AND", "-", "日本語", "x" * 100_000, "a,b" * 30_000])
def test_no_question_breaks_hybrid_query(api, rooms, text):
    assert ask(api, rooms, {"query_text": text, "threshold": -1}, "hybrid_query").status_code == 200


def test_hybrid_query_of_an_empty_collection_answers_nothing(api, collection):
    assert ask(api, collection, {"query_text": "tides"}, "hybrid_query").json()["results"] == []


def test_parent_child_query_answers_each_passage_once(api, collection):
    link = f"/static/ana/handbook/{'a' * 32}.md"
    parents = {"tides": "The whole passage about tides and the moon.", "bread": "The whole passage about bread."}
    children = [("The moon pulls the sea.", "tides"), ("So there are tides.", "tides"), ("Flour and salt.", "bread")]
    documents = [
        {"text": text, "metadata": {"parent_text": parents[parent], "parent_chunk_id": parent, "file_url": link}}
        for text, parent in children
    ]
    api.send("POST", f"/collections/{collection.pk}/documents", {"documents": documents})
    body = {"query_text": "Why are there tides?", "threshold": -1}
    results = ask(api, collection, body, "parent_child_query").json()["results"]
    assert [row["data"] for row in results] == [parents["tides"], parents["bread"]]
    assert [set(row) for row in results] == [{"similarity", "data", "metadata"}] * 2
    assert results[0]["metadata"]["parent_chunk_id"] == "tides"
    assert results[0]["metadata"]["file_url"].startswith(f"{link}?")
    body["plugin_params"] = {"return_parent_context": False}
    chunks = ask(api, collection, body, "parent_child_query").json()["results"]
    assert sorted(row["data"] for row in chunks) == sorted(text for text, _ in children)


def test_parent_child_query_of_chunks_without_parents_is_simple_query(api, filled):
    body = {"query_text": "Why are there tides?", "threshold": -1}
    answers = [ask(api, filled, body, plugin).json()["results"] for plugin in ("parent_child_query", "simple_query")]
    assert answers[0] == answers[1]


# -- Vendors ----------------------------------------------------------------------------------------


@pytest.fixture
def vendor():
    with Vendor() as running:
        yield running


@pytest.fixture
def remote(api, vendor):
    model = {"vendor": "openai", "model": "m", "api_endpoint": vendor.url, "apikey": "sk-0123456789"}
    return api.send("POST", "/collections", {"name": "remote", "owner": "1", "embeddings_model": model}).json()["id"]


def test_creating_a_collection_does_not_call_the_vendor(remote, vendor):
    assert vendor.received == []


def test_a_vendor_that_refuses_is_400_with_what_to_change_and_without_the_key(api, remote, vendor):
    vendor.standing = Fault("status", status=401)
    answer = api.send("POST", f"/collections/{remote}/documents", {"documents": [{"text": "a"}]})
    assert "sk-0123456789" not in is_error(answer, 400)


def test_a_stored_key_that_cannot_be_read_is_500_with_a_hint(api, remote, settings):
    settings.SECRET_KEY = "another secret key of the server, long enough"
    settings.SECRET_KEY_FALLBACKS = []
    answer = api.send("POST", f"/collections/{remote}/documents", {"documents": [{"text": "a"}]})
    assert "API key" in is_error(answer, 500)
