"""What holds for every endpoint: who comes in, how addresses are read, what errors look like (contract, 2 and 3)."""

import pytest
from django.test import Client
from django.urls import clear_url_caches
from django.urls import path as address_of

from kbproject import urls
from tests.http.conftest import TOKEN, Api
from tests.http.shapes import is_error, is_invalid

pytestmark = pytest.mark.django_db

# Every endpoint with the methods that it answers; "C" and "J" stand for ids.
ENDPOINTS = [
    ("/collections", "GET POST"),
    ("/collections/C", "GET PATCH PUT DELETE"),
    ("/collections/C/ingest-file", "POST"),
    ("/collections/C/ingest-url", "POST"),
    ("/collections/C/ingest-base", "POST"),
    ("/collections/C/documents", "POST"),
    ("/collections/C/query", "POST"),
    ("/collections/C/files", "GET"),
    ("/collections/C/files/J", "DELETE"),
    ("/collections/files/J/status", "PUT"),
    ("/files/J/content", "GET"),
    ("/collections/C/ingestion-jobs", "GET"),
    ("/collections/C/ingestion-jobs/J", "GET"),
    ("/collections/C/ingestion-jobs/J/retry", "POST"),
    ("/collections/C/ingestion-jobs/J/cancel", "POST"),
    ("/collections/C/ingestion-jobs/J/events", "GET"),
    ("/collections/C/ingestion-status", "GET"),
    ("/ingestion/plugins", "GET"),
    ("/config/embeddings", "GET PUT DELETE"),
    ("/collections/owner/7/embeddings", "PUT"),
    ("/ingestion-jobs", "GET"),
    ("/ingestion-jobs/J", "GET"),
    ("/ingestion-jobs/retry", "POST"),
    ("/ingestion-jobs/cancel", "POST"),
    ("/ingestion/failures", "GET"),
    ("/database/status", "GET"),
    ("/", "GET"),
]
PUBLIC = ["/health", "/config/ingestion"]
ALL_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


def address(path: str) -> str:
    return path.replace("C", "1").replace("J", "1")


@pytest.mark.parametrize(("path", "methods"), ENDPOINTS)
def test_without_a_token_every_endpoint_answers_401_with_a_challenge(anyone, path, methods):
    for method in methods.split():
        answer = anyone.send(method, address(path), {})
        assert is_error(answer, 401) == "Not authenticated"
        assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"bearer {TOKEN[:-1]}",
        "Bearer \xff\xfe",
        "Bearer tok\u00e9n",
        f"BEARER {TOKEN} x",
    ],
)
def test_a_wrong_token_is_401_with_a_sentence_and_a_challenge(anyone, header):
    answer = anyone.get("/collections", HTTP_AUTHORIZATION=header)
    assert is_error(answer, 401) != "Not authenticated"
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Token {TOKEN}"])
def test_a_header_that_is_no_bearer_token_counts_as_none(anyone, header):
    assert is_error(anyone.get("/collections", HTTP_AUTHORIZATION=header), 401) == "Not authenticated"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_in_any_case(anyone, scheme):
    assert anyone.get("/collections", HTTP_AUTHORIZATION=f"{scheme} {TOKEN}").status_code == 200


def test_the_token_may_hold_any_letters(anyone, settings):
    settings.LAMB_API_KEY = "schlüssel-0123456789"
    header = "Bearer " + settings.LAMB_API_KEY.encode().decode("latin-1")  # as WSGI hands it over
    assert anyone.get("/collections", HTTP_AUTHORIZATION=header).status_code == 200


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "nonsense", "Bearer \xff"])
def test_public_addresses_do_not_look_at_the_token(anyone, path, header):
    extra = {"HTTP_AUTHORIZATION": header} if header else {}
    assert anyone.get(path, **extra).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/collections", "/api/", "/collections/1/nothing", "/manual", "/static/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_addresses_are_404_json_without_a_token(anyone, path, method):
    assert is_error(anyone.send(method, path), 404) == "Not Found"


@pytest.mark.parametrize(("path", "methods"), [*ENDPOINTS, *((path, "GET") for path in PUBLIC)])
def test_other_methods_are_405_and_say_which_are_allowed(api, path, methods):
    for method in ALL_METHODS - set(methods.split()):
        answer = api.send(method, address(path))
        assert answer.status_code == 405, (method, path)
        assert set(answer["Allow"].split(", ")) == set(methods.split())
        if method != "HEAD":
            assert is_error(answer, 405) == "Method Not Allowed"


@pytest.mark.parametrize(("path", "methods"), ENDPOINTS)
def test_a_trailing_slash_is_sent_to_the_address_without_it(anyone, path, methods):
    if path in {"/", "/collections"}:
        return
    for method in methods.split():
        answer = anyone.send(method, f"{address(path)}/?a=1&b=%20", {})
        assert answer.status_code == 307
        assert answer["Location"] == f"{address(path)}?a=1&b=%20"


def test_collections_are_served_with_and_without_a_slash(api):
    assert api.get("/collections").status_code == api.get("/collections/").status_code == 200
    for path in ("/collections", "/collections/"):
        assert api.send("POST", path, {"name": f"at {path}", "owner": "1"}).status_code == 201


@pytest.mark.parametrize("path", ["/%2Fevil.example/", "/health//", "/\\evil.example/"])
def test_no_slash_leads_to_another_host(anyone, path):
    answer = anyone.get(path)
    assert answer.status_code in {307, 404}
    assert not answer.get("Location", "/").startswith(("//", "/\\", "http"))


@pytest.mark.parametrize(
    ("path", "methods"), [(path, methods) for path, methods in ENDPOINTS if "C" in path or "J" in path]
)
@pytest.mark.parametrize("bad", ["abc", "1.5", "0x1", "1e3", "%C2%B2", "١", "%00"])
def test_ids_that_are_no_whole_numbers_are_422(api, path, methods, bad):
    for method in methods.split():
        answer = api.send(method, path.replace("C", bad).replace("J", bad), {})
        is_invalid(answer, "path")


@pytest.mark.parametrize("number", ["0", "-1", str(2**63 - 1), str(2**63), str(10**39)])
def test_ids_that_no_row_can_have_are_404(api, number):
    is_error(api.get(f"/collections/{number}"), 404)
    is_error(api.get(f"/collections/{number}/ingestion-jobs/{number}"), 404)
    is_error(api.get(f"/collections/{number}/ingestion-status"), 404)
    is_error(api.get(f"/collections/{number}/files"), 404)
    is_error(api.get(f"/files/{number}/content"), 404)


def test_ids_are_read_as_leniently_as_other_numbers(api, collection):
    for text in (f"{collection.pk}.0", f"%20{collection.pk}%20", f"+{collection.pk}", f"0{collection.pk}"):
        assert api.get(f"/collections/{text}").status_code == 200


# -- Bodies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b"\xff\xfe\x00",
        b'{"name": "\xe9"}',
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_json_is_422_json_invalid(api, body):
    assert is_invalid(api.send("POST", "/collections", body), "body")["type"] == "json_invalid"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"true"])
def test_json_that_is_no_object_is_422(api, body):
    is_invalid(api.send("POST", "/collections", body), "body")


def test_authentication_comes_before_the_body_is_looked_at(anyone):
    is_error(anyone.send("POST", "/collections", b"{"), 401)


def test_a_bad_body_on_a_missing_collection_is_422_and_not_404(api):
    is_invalid(api.send("POST", "/collections/999/query", {}), "body", "query_text")
    is_error(api.send("POST", "/collections/999/query", {"query_text": "x"}), 404)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-8"]
)
def test_json_is_read_whatever_the_content_type_says(api, kind):
    answer = api.generic("POST", "/collections", b'{"name": "any", "owner": "1"}', kind)
    assert answer.status_code == 201


def test_a_body_past_the_limit_is_413_before_it_is_read(api, settings):
    settings.KB_MAX_JSON_MB = 1
    is_error(api.send("POST", "/collections", b" " * (1024 * 1024 + 1)), 413)


def test_a_chunked_body_is_asked_for_its_length(api):
    answer = api.generic("POST", "/collections", b"", HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    is_error(answer, 411)


def test_unknown_fields_are_ignored(api):
    assert api.send("POST", "/collections", {"name": "a", "owner": "1", "shoe_size": 44}).status_code == 201


# -- Around -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/plain", "image/png", "nonsense", ""])
def test_whatever_a_program_accepts_it_gets_json(api, accept):
    answer = api.get("/collections", HTTP_ACCEPT=accept)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("host", ["kb:9090", "kb_server:9090", "localhost", "10.0.0.7:80", "[::1]:9090"])
def test_any_host_name_is_served(anyone, host):
    assert anyone.get("/health", HTTP_HOST=host).status_code == 200


def test_scripts_of_any_origin_may_call_but_never_with_cookies(api):
    answer = api.get("/collections", HTTP_ORIGIN="https://anywhere.example")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Access-Control-Allow-Origin" not in api.get("/collections")


@pytest.mark.parametrize("path", ["/collections", "/collections/1/ingestion-jobs", "/health", "/nothing"])
def test_a_preflight_is_200_for_any_method_and_header(anyone, path):
    answer = anyone.options(
        path,
        HTTP_ORIGIN="https://anywhere.example",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="DELETE",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization, x-anything",
    )
    assert answer.status_code == 200
    assert "DELETE" in answer["Access-Control-Allow-Methods"]
    assert answer["Access-Control-Allow-Headers"] == "authorization, x-anything"
    assert answer["Access-Control-Allow-Origin"] == "*"


def test_errors_carry_the_cors_header_too(anyone):
    assert anyone.get("/collections", HTTP_ORIGIN="https://a.example")["Access-Control-Allow-Origin"] == "*"


def test_an_error_of_ours_is_500_json_without_a_word_about_its_cause(api, monkeypatch):
    # Stands for any mistake in a view: an address whose view divides by zero.
    monkeypatch.setattr(urls, "urlpatterns", [address_of("boom", lambda request: 1 / 0)])
    clear_url_caches()
    client = Client(raise_request_exception=False)
    try:
        answer = client.get("/boom")
    finally:
        monkeypatch.undo()
        clear_url_caches()
    assert is_error(answer, 500) == "Internal Server Error"
    assert b"division" not in answer.content


def test_a_token_in_the_query_or_a_cookie_counts_for_nothing(anyone):
    anyone.cookies["token"] = TOKEN
    is_error(anyone.get(f"/collections?token={TOKEN}&access_token={TOKEN}"), 401)


def test_two_clients_do_not_share_anything(api):
    other = Api(token="another-token-9876543210")
    assert api.get("/collections").status_code == 200
    assert other.get("/collections").status_code == 401
