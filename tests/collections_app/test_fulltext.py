"""Search by words: what is found, in which order, and that nothing is found that should not be."""

import uuid

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from collections_app import reaper, services
from collections_app.models import Chunk
from collections_app.search import fulltext
from collections_app.search.sqlite import SqliteSearch
from collections_app.search.words import MOST_TERMS, STOP_WORDS, terms
from tests.collections_app.factories import make_collection, unit_rows

pytestmark = pytest.mark.django_db

TABLE = fulltext.TABLE
DIMENSION = 8


@pytest.fixture(autouse=True)
def empty_index(db):
    """Tests that commit are cleaned up by emptying all models' tables, and the index is no model's."""
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} ({TABLE}) VALUES ('delete-all')")  # noqa: S608


def publish(collection, *texts, file_id=1, published=True, seed=1, source_key=""):
    """A document of *file_id* with these chunks."""
    document = services.begin_document(collection, file_id, uuid.uuid4(), source_key)
    rows = unit_rows(len(texts), DIMENSION, seed)
    services.store_batch(document, 0, [{"text": text, "metadata": {}} for text in texts], rows)
    if published:
        services.publish(document)
    collection.refresh_from_db()
    return document


def found(collection, text, top_k=10, query=None, engine=None) -> list[str]:
    query = unit_rows(1, DIMENSION, 99)[0] if query is None else query
    hits = (engine or SqliteSearch()).matching(collection, text, query, top_k)
    texts = dict(Chunk.objects.values_list("pk", "text"))
    return [texts[hit.chunk_id] for hit in hits]


def indexed_words() -> dict[str, int]:
    """Word → number of chunks that hold it, in the whole index."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.all_words USING fts5vocab(main, {TABLE}, row)")
        cursor.execute("SELECT term, doc FROM temp.all_words")
        words = dict(cursor.fetchall())
        cursor.execute("DROP TABLE temp.all_words")
        cursor.execute(f"INSERT INTO {TABLE} ({TABLE}) VALUES ('integrity-check')")  # noqa: S608
    return words


def reap_all() -> None:
    while services.reap(budget_seconds=0.2).more:
        pass


# -- A question's words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tides", ['"tides"']),
        ("Why are there tides?", ['"tides"']),
        ("¿Cuándo abre la biblioteca?", ['"abre"', '"biblioteca"']),
        ("error NW-507", ['"error"', '"NW"', '"507"', '"NW 507"']),
        ("a.b@example.org", ['"b"', '"example"', '"org"', '"a b example org"']),
        ("don't stop", ['"don"', '"stop"']),
        ("Matrícula MATRICULA matrícula", ['"Matrícula"']),
        ("to be or not to be", ['"to"', '"be"', '"or"', '"not"']),
        ('NEAR(a b) text:* "x" AND ^y -z', ['"NEAR"', '"NEAR a"', '"b"', '"text"', '"x"', '"z"']),
        ("", []),
        ("?! … \x00 --", []),
        ("日本語の文章", ['"日本語の文章"']),
    ],
)
def test_a_question_is_read_as_quoted_words_and_phrases(text, expected):
    assert terms(text) == expected


def test_a_long_question_is_cut():
    assert len(terms(" ".join(f"word{n}" for n in range(5000)))) == MOST_TERMS
    assert terms("x" * 100_000) == []
    assert terms(",".join("x" * 50_000)) == ['"x"']


def test_stop_words_are_written_as_they_are_compared():
    assert all(word == word.lower() and word.isascii() and word.isalpha() for word in STOP_WORDS)


# -- What is found -----------------------------------------------------------------------------------


def test_a_chunk_is_found_by_its_words_whatever_their_case_and_accents():
    collection = make_collection()
    publish(collection, "La MATRÍCULA se paga en julio", "El menú del comedor")
    for question in ("matricula", "Matrícula", "matri\u0301cula", "¿cuándo se paga la matrícula?"):
        assert found(collection, question) == ["La MATRÍCULA se paga en julio"]
    assert found(collection, "menu") == ["El menú del comedor"]
    assert found(collection, "ferrocarril") == []


def test_text_written_with_separate_accents_is_found_too():
    collection = make_collection()
    publish(collection, "La matri\u0301cula", "other")
    assert found(collection, "matrícula") == ["La matri\u0301cula"]


def test_a_rare_word_counts_more_than_many_common_ones():
    collection = make_collection()
    common = [f"the annual report number {n} of the college" for n in range(20)]
    publish(collection, *common, "lantern")
    assert found(collection, "annual report about the lantern")[0] == "lantern"


def test_what_is_written_together_is_found_together():
    collection = make_collection()
    publish(collection, "rooms A-204 and B-118", "rooms B-204 and A-118", "rooms B-118 and A-204")
    assert found(collection, "B-204")[0] == "rooms B-204 and A-118"


def test_chunks_that_share_the_same_words_come_by_similarity_then_by_age():
    collection, rows = make_collection(), unit_rows(3, DIMENSION)
    publish(collection, "moon one", "moon two", "moon three", file_id=1)
    publish(collection, "moon one", file_id=2)
    assert found(collection, "moon", query=rows[1])[0] == "moon two"
    hits = SqliteSearch().matching(collection, "one", rows[0], 10)
    assert [hit.similarity for hit in hits] == [1.0, 1.0]
    assert hits[0].chunk_id < hits[1].chunk_id


def test_no_more_than_asked_for_are_found_and_the_best_of_them():
    collection = make_collection()
    publish(collection, *["moon"] * 30, *["moon and sea"] * 3)
    assert found(collection, "sea moon", top_k=3) == ["moon and sea"] * 3
    assert len(found(collection, "moon", top_k=7)) == 7


def test_a_hit_has_the_cosine_as_its_similarity():
    collection, rows = make_collection(), unit_rows(4, DIMENSION)
    publish(collection, "alpha", "beta", "gamma", "delta")
    hit = SqliteSearch().matching(collection, "gamma", rows[0], 1)[0]
    assert hit.similarity == pytest.approx(float(rows[2] @ rows[0]), abs=1e-5)


def test_a_word_that_very_many_chunks_hold_counts_for_nothing(monkeypatch):
    monkeypatch.setattr(fulltext, "MOST_HOLDERS", 3)
    collection = make_collection()
    publish(collection, "moon", "moon", "moon sea", "moon")
    assert found(collection, "moon") == []
    assert found(collection, "moon sea") == ["moon sea"]


def test_words_of_stop_words_alone_are_looked_up():
    collection = make_collection()
    publish(collection, "to be or not to be", "tides")
    assert found(collection, "To be, or not to be?") == ["to be or not to be"]


def test_a_text_without_spaces_is_found_by_meaning_only():
    collection = make_collection()
    publish(collection, "日本語の文章です")
    assert found(collection, "日本語") == []


# -- What is not found -------------------------------------------------------------------------------


def test_only_published_documents_of_the_same_collection_are_found():
    mine, other = make_collection(), make_collection()
    publish(mine, "moon published", file_id=1)
    publish(mine, "moon unfinished", file_id=2, published=False)
    publish(other, "moon elsewhere", file_id=3)
    assert found(mine, "moon") == ["moon published"]
    assert found(other, "moon") == ["moon elsewhere"]


def test_what_is_published_withdrawn_or_replaced_is_noticed_at_once():
    engine, collection = SqliteSearch(), make_collection()
    document = publish(collection, "moon old", published=False)
    assert found(collection, "moon", engine=engine) == []
    services.publish(document)
    assert found(collection, "moon", engine=engine) == ["moon old"]
    publish(collection, "moon new")
    assert found(collection, "moon", engine=engine) == ["moon new"]
    services.withdraw_file(1)
    assert found(collection, "moon", engine=engine) == []


def test_how_rare_a_word_is_in_other_collections_and_old_versions_makes_no_difference():
    mine, other = make_collection(), make_collection()
    publish(mine, *["tide moon"] * 5, "tide", "moon sea", file_id=1)
    before = found(mine, "tide sea")
    publish(other, *["sea"] * 50, file_id=2)
    publish(mine, *["sea"] * 50, file_id=3, published=False)
    assert found(mine, "tide sea") == before


def test_a_batch_that_is_rolled_back_leaves_no_words():
    collection = make_collection()
    with pytest.raises(RuntimeError), transaction.atomic():
        publish(collection, "moon")
        raise RuntimeError
    assert indexed_words() == {}


def test_a_run_that_goes_on_where_another_stopped_is_found_whole():
    collection = make_collection()
    publish(collection, "moon one", published=False, source_key="key")
    document = services.begin_document(collection, 1, uuid.uuid4(), "key")
    services.store_batch(document, 1, [{"text": "moon two", "metadata": {}}], unit_rows(1, DIMENSION))
    services.publish(document)
    collection.refresh_from_db()
    assert set(found(collection, "moon")) == {"moon one", "moon two"}


def test_a_collection_that_does_not_fit_the_cache_answers_the_same():
    collection = make_collection()
    for file_id in range(1, 6):
        publish(collection, *[f"moon {n % 7} of {file_id}" for n in range(40)], file_id=file_id, seed=file_id)
    small, large = SqliteSearch(cache_bytes=1000), SqliteSearch()
    query = unit_rows(1, DIMENSION, 99)[0]
    for top_k in (1, 5, 500):
        assert small.matching(collection, "moon 3", query, top_k) == large.matching(collection, "moon 3", query, top_k)
    assert small.cached_bytes == 0


# -- What it costs -----------------------------------------------------------------------------------


def test_a_question_of_many_words_costs_two_reads_and_no_transaction(django_assert_num_queries, monkeypatch):
    engine, collection = SqliteSearch(), make_collection()
    publish(collection, "moon and sea", "tide")
    found(collection, "moon", engine=engine)
    monkeypatch.setattr(transaction, "atomic", None)
    with django_assert_num_queries(2):
        engine.matching(collection, "moon sea tide sun star", unit_rows(1, DIMENSION)[0], 5)


def test_other_databases_have_no_full_text(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    with django_assert_num_queries(0):
        fulltext.add(1, 1, 0, 1)
        fulltext.remove("document_id = %s", [1])
        assert [len(ids) for ids in fulltext.holders(1, ['"a"', '"b"'])] == [0, 0]


# -- Deleting ----------------------------------------------------------------------------------------


def test_the_reaper_leaves_no_word_of_what_it_deleted_and_every_other(monkeypatch):
    monkeypatch.setattr(reaper, "FIRST_CHUNKS", 20)
    mine, other = make_collection(), make_collection()
    publish(mine, *[f"moon word{n}" for n in range(90)], file_id=1)
    for file_id in range(2, 8):
        publish(mine, "sun small", "sun tiny", file_id=file_id)
    publish(other, "sun elsewhere", file_id=9)
    publish(mine, "sea kept", file_id=10)
    publish(mine, "sea unfinished", file_id=11, published=False)
    for file_id in range(1, 8):
        services.withdraw_file(file_id)
    reap_all()
    assert indexed_words() == {"sun": 1, "elsewhere": 1, "sea": 2, "kept": 1, "unfinished": 1}
    assert found(mine, "sea") == ["sea kept"]


def test_a_chunk_without_words_is_stored_and_deleted_like_any_other():
    collection = make_collection()
    publish(collection, "", "… — …", "a\x00b \ud83d", "😀")
    services.withdraw_file(1)
    reap_all()
    assert indexed_words() == {}
    assert not Chunk.objects.exists()


# -- The migration -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_chunks_that_are_stored_already_are_indexed_and_can_be_reaped():
    mine, other = make_collection(), make_collection()
    publish(mine, "moon first", "sea first", file_id=1)
    publish(other, "moon elsewhere", file_id=2)
    publish(mine, "moon withdrawn", file_id=3)
    services.withdraw_file(3)
    words = indexed_words()

    call_command("migrate", "collections_app", "0001", verbosity=0)
    assert TABLE not in connection.introspection.table_names()
    call_command("migrate", "collections_app", verbosity=0)

    assert indexed_words() == words
    assert found(mine, "moon") == ["moon first"]
    assert found(other, "moon") == ["moon elsewhere"]
    reap_all()
    assert "withdrawn" not in indexed_words()


# -- Any text ----------------------------------------------------------------------------------------

HOSTILE = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="\"'*()^:{}-+~ABCNEARORNOTAND \x00\\text0123", max_size=60),
    st.lists(
        st.sampled_from(['"', "NEAR(", "AND", "NOT", "text:", "*", "rowid:1", "a-b", "ñ", "´", "²", "Ⅷ", "é"])
    ).map(" ".join),
)
LATIN = st.text(alphabet="aáàäeéiíoóöuúüñçßxyzAÁEÉÑ019 .,-_/'\n\"", max_size=80)


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_no_question_breaks_the_search(text):
    assert all(len(ids) == 0 for ids in fulltext.holders(1, terms(text)))


@settings(max_examples=50, deadline=None)
@given(LATIN)
def test_a_chunk_is_found_by_each_of_its_own_words(text):
    collection = make_collection()
    publish(collection, text, file_id=None)
    chunk = Chunk.objects.get(document__collection=collection)
    wanted = terms(text)
    assert all(chunk.pk in ids for ids in fulltext.holders(collection.pk, wanted)), wanted


@settings(max_examples=50, deadline=None)
@given(HOSTILE)
def test_whatever_was_indexed_can_be_forgotten(text):
    collection = make_collection()
    publish(collection, text, "another", file_id=None)
    fulltext.remove("document_id = %s", [collection.documents.get().pk])
    assert indexed_words() == {}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "store", "withdraw", "reap"]),
        st.integers(1, 4),
        st.lists(st.sampled_from(["moon", "sun", "moon sun", "sea moon", ""]), min_size=1, max_size=4),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_after_any_history_exactly_the_published_chunks_are_found(steps):
    engine, collection, texts = SqliteSearch(), make_collection(), {}
    for step, file_id, chunks in steps:
        if step == "publish":
            publish(collection, *chunks, file_id=file_id)
            texts[file_id] = chunks
        elif step == "store":
            publish(collection, *chunks, file_id=file_id, published=False)
        elif step == "withdraw":
            services.withdraw_file(file_id)
            texts.pop(file_id, None)
        else:
            services.reap(budget_seconds=0)
        for word in ("moon", "sun"):
            expected = sorted(text for stored in texts.values() for text in stored if word in text.split())
            assert sorted(found(collection, word, 100, engine=engine)) == expected
