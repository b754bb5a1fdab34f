"""What query plugins make of the rows that a search gives them."""

import pytest

from plugins.hybrid_query import HybridQuery, fuse
from plugins.parameters import SIMPLIFIED, validate
from plugins.parent_child_query import CHILDREN, DEEPEST, ParentChildQuery
from plugins.simple_query import SimpleQuery


def row(number, similarity=0.5, document=1, parent=None, **metadata):
    if parent is not None:
        metadata["parent_text"] = parent
    return {
        "similarity": similarity,
        "data": f"chunk {number}",
        "metadata": metadata,
        "chunk_pk": number,
        "document_pk": document,
    }


class Found:
    """A search with a fixed ranking, which notes how deep it was asked."""

    def __init__(self, *rows):
        self.rows = list(rows)
        self.depths = []

    def __call__(self, text, top_k):
        self.depths.append(top_k)
        return self.rows[:top_k]


def numbers(rows):
    return [row["chunk_pk"] for row in rows]


def ask(plugin, search=None, search_text=None, **params):
    return plugin().query(1, "a question", search=search or Found(), search_text=search_text or Found(), **params)


@pytest.mark.parametrize("plugin", [SimpleQuery, HybridQuery, ParentChildQuery])
def test_every_query_plugin_takes_top_k_and_threshold_and_names_no_address(plugin):
    specs = plugin().get_parameters()
    assert (specs["top_k"]["default"], specs["top_k"]["min"], specs["threshold"]["default"]) == (5, 1, 0.0)
    assert "url" not in f"{plugin.name} {plugin.description}".lower()


@pytest.mark.parametrize("plugin", [HybridQuery, ParentChildQuery])
def test_simplified_mode_leaves_top_k_and_threshold(plugin):
    given = {"top_k": 3, "threshold": 0.5, "weight": 0.1, "candidates": 7, "return_parent_context": False}
    specs = plugin().get_parameters()
    clean, errors = validate(specs, {name: given[name] for name in specs}, SIMPLIFIED)
    assert errors == []
    assert (clean.pop("top_k"), clean.pop("threshold")) == (3, 0.5)
    assert clean in ({"weight": 0.5, "candidates": 50}, {"return_parent_context": True})


# -- Hybrid -----------------------------------------------------------------------------------------


def test_what_stands_in_both_rankings_comes_before_what_stands_in_one():
    rows = ask(HybridQuery, Found(row(1), row(2)), Found(row(3), row(2)))
    assert numbers(rows)[0] == 2
    assert rows[0]["score"] == pytest.approx(0.5 / 12 + 0.5 / 12, abs=1e-6)


def test_equal_scores_come_by_similarity_then_by_age():
    rows = fuse([(0.5, [row(9, 0.2)]), (0.5, [row(4, 0.3)])])
    assert numbers(rows) == [4, 9]
    assert numbers(fuse([(0.5, [row(9)]), (0.5, [row(4)])])) == [4, 9]


@pytest.mark.parametrize(("weight", "first"), [(1, 1), (0.9, 1), (0.1, 3), (0, 3)])
def test_the_weight_is_the_share_of_the_meaning(weight, first):
    rows = ask(HybridQuery, Found(row(1), row(2)), Found(row(3), row(4)), weight=weight)
    assert numbers(rows)[0] == first


def test_a_ranking_that_counts_for_nothing_is_not_asked_for():
    meaning, words = Found(row(1)), Found(row(2))
    assert numbers(ask(HybridQuery, meaning, words, weight=1)) == [1]
    assert numbers(ask(HybridQuery, meaning, words, weight=0)) == [2]
    assert (len(meaning.depths), len(words.depths)) == (1, 1)


@pytest.mark.parametrize("weight", [0, 0.5])
def test_a_question_whose_words_are_nowhere_is_answered_by_meaning(weight):
    assert numbers(ask(HybridQuery, Found(row(1, 0.9), row(2, 0.8)), weight=weight)) == [1, 2]


def test_a_collection_without_vectors_near_or_words_answers_nothing():
    assert ask(HybridQuery) == []


def test_the_threshold_hides_rows_after_the_best_were_taken():
    meaning = Found(row(1, 0.9), row(2, 0.1), row(3, 0.8))
    assert numbers(ask(HybridQuery, meaning, top_k=2, threshold=0.5)) == [1]


def test_as_many_candidates_as_asked_for_are_considered_and_never_fewer_than_rows_wanted():
    meaning = Found()
    ask(HybridQuery, meaning)
    ask(HybridQuery, meaning, candidates=7)
    ask(HybridQuery, meaning, candidates=7, top_k=9)
    assert meaning.depths == [50, 7, 9]


# -- Parent and child --------------------------------------------------------------------------------


def test_each_parent_is_answered_once_with_its_best_child():
    search = Found(row(1, 0.9, parent="A"), row(2, 0.8, parent="A"), row(3, 0.7, parent="B"), row(4, 0.6, parent="A"))
    rows = ask(ParentChildQuery, search)
    assert [(row["data"], row["similarity"], row["chunk_pk"]) for row in rows] == [("A", 0.9, 1), ("B", 0.7, 3)]
    assert rows[0]["metadata"]["parent_text"] == "A"


def test_parents_of_the_same_number_in_different_files_are_different():
    first = row(1, parent="A", document=1, parent_chunk_id=0)
    second = row(2, parent="B", document=2, parent_chunk_id=0)
    third = row(3, parent="A", document=2, parent_chunk_id=1)
    assert [row["data"] for row in ask(ParentChildQuery, Found(first, second, third))] == ["A", "B", "A"]


def test_chunks_without_a_parent_stand_for_themselves():
    search = Found(row(1), row(2, parent="A"), row(3), row(4, parent=""), row(5, parent=["no", "text"]))
    assert [row["data"] for row in ask(ParentChildQuery, search)] == ["chunk 1", "A", "chunk 3", "chunk 4", "chunk 5"]


def test_it_searches_deeper_until_there_are_enough_parents():
    siblings = [row(n, parent="A") for n in range(60)]
    search = Found(*siblings, row(90, parent="B"), row(91, parent="C"), *[row(n, parent="D") for n in range(92, 400)])
    assert [row["data"] for row in ask(ParentChildQuery, search, top_k=3)] == ["A", "B", "C"]
    assert search.depths == [15, 75]


def test_it_stops_where_the_collection_ends_or_where_it_is_deep_enough():
    few = Found(*[row(n, parent="A") for n in range(9)])
    assert len(ask(ParentChildQuery, few, top_k=2)) == 1
    assert few.depths == [10]
    endless = Found(*[row(n, parent="A") for n in range(9000)])
    assert len(ask(ParentChildQuery, endless, top_k=2)) == 1
    assert endless.depths == [2 * CHILDREN**n for n in (1, 2, 3, 4)]
    assert endless.depths[-1] == 2 * DEEPEST


def test_without_parents_it_answers_as_simple_query():
    rows = [row(1, 0.9), row(2, 0.4), row(3, 0.1)]
    for params in ({}, {"top_k": 2}, {"threshold": 0.3}, {"top_k": 1, "threshold": 0.95}):
        assert ask(ParentChildQuery, Found(*rows), **params) == ask(SimpleQuery, Found(*rows), **params)


def test_chunks_themselves_are_answered_when_asked_for():
    rows = [row(1, 0.9, parent="A"), row(2, 0.8, parent="A")]
    search = Found(*rows)
    assert ask(ParentChildQuery, search, return_parent_context=False) == rows
    assert search.depths == [5]


def test_the_threshold_is_that_of_the_best_child():
    search = Found(row(1, 0.9, parent="A"), row(2, 0.2, parent="A"), row(3, 0.1, parent="B"))
    assert [row["data"] for row in ask(ParentChildQuery, search, threshold=0.5)] == ["A"]
