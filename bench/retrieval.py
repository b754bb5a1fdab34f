"""How well questions find their passages: recall@1, recall@5 and MRR of simple_query and hybrid_query.

    python -m bench.retrieval [--plugin simple_ingest] [--param chunk_size=400] [--vendor … --model …] [--json]

The documents are those in samples/ and bench/retrieval/texts: a college and a university that do not exist, one in
English, one in Spanish, all in one collection. Each question in questions.json names a snippet that stands once in all
of them; a chunk that holds the snippet answers it. So a chunker or a model is judged by a number, before and after.

Kinds of questions: ``keyword`` asks for a name, a number or a code, ``plain`` in the words of the text, ``paraphrase``
in others.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections_app.models import Collection
    from plugins.base import IngestPlugin

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "retrieval"
FOLDERS = (FOLDER / "texts", HERE.parent / "samples")
DEFAULTS = {"chunk_size": "400", "chunk_overlap": "80"}  # small, so that some 400 chunks compete
WHOLE = {"chunk_size": "100000", "chunk_overlap": "0"}
CONVERTER = "markitdown_ingest"  # for documents that the chosen plugin does not read
WEIGHTS = (0.3, 0.5, 0.7)
DEPTH = 20  # how far down an answer is looked for

Chunks = list[Mapping[str, Any]]
Way = Callable[["Collection", str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Question:
    question: str
    answer: str  # stands exactly once in all documents
    language: str  # en, es
    kind: str  # keyword, plain, paraphrase


@dataclass(frozen=True)
class Score:
    """Means over questions: found first, found among five, and the reciprocal of the rank (0 below ``DEPTH``)."""

    recall_1: float
    recall_5: float
    mrr: float

    @classmethod
    def of(cls, ranks: Sequence[int]) -> "Score":
        """:param ranks: of each question's first answer, from 1; 0 when there is none"""
        shares = (
            sum(rank == 1 for rank in ranks),
            sum(1 <= rank <= 5 for rank in ranks),
            sum(1 / rank for rank in ranks if rank),
        )
        return cls(*(round(share / len(ranks), 3) for share in shares))


def flat(text: str) -> str:
    """*text* without its line breaks: a converter may set others."""
    return " ".join(text.split())


def checked_questions() -> list[Question]:
    """All questions. Each answer must stand exactly once in all documents, or a hit would prove nothing."""
    asked = [Question(**entry) for entry in json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))]
    whole = "\n".join(flat(chunk["text"]) for _, chunks in documents("simple_ingest", WHOLE) for chunk in chunks)
    for one in asked:
        count = whole.count(flat(one.answer))
        assert count == 1, f"{one.answer!r} stands {count} times in the documents"
    return asked


# -- Documents --------------------------------------------------------------------------------------


def documents(plugin: str, given: Mapping[str, str]) -> Iterator[tuple[str, Chunks]]:
    """The name and the chunks of each document, cut by *plugin*; samples that are no documents (captions) are left out.

    :param given: its parameters, as text
    """
    from plugins import parameters

    plugins = [loaded(plugin), loaded(CONVERTER)]
    for path in sorted(path for folder in FOLDERS for path in folder.iterdir()):
        chosen = next((one for one in plugins if path.suffix[1:] in file_types(one)), None)
        if chosen is None:
            continue
        specs = chosen.get_parameters()
        clean, errors = parameters.validate(specs, {key: value for key, value in given.items() if key in specs})
        assert not errors, errors
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name  # plugins may write files of their own beside the document
            copy.write_bytes(path.read_bytes())
            yield path.name, list(chosen.ingest(str(copy), original_filename=path.name, **clean))


def loaded(name: str) -> "IngestPlugin":
    from plugins import registry

    registry.load(f"plugins.{name}")
    plugin = registry.ingest_plugin(name)
    assert plugin, f"there is no plugin {name}"
    return plugin


def file_types(plugin: "IngestPlugin") -> set[str]:
    return {kind.strip("*.") for kind in plugin.supported_file_types}


def fill(collection: "Collection", cut: Iterable[tuple[str, Chunks]]) -> int:
    """Embed, store and publish the chunks as the server does; how many they were."""
    from django.db import transaction

    from collections_app import services
    from collections_app.models import Document

    total = 0
    for _, chunks in cut:
        vectors = services.embedder(collection).embed([chunk["text"] for chunk in chunks])
        with transaction.atomic():
            document = Document.objects.create(collection=collection)
            services.store_batch(document, 0, chunks, vectors)
            services.publish(document)
        total += len(chunks)
    collection.refresh_from_db()
    return total


# -- Asking -----------------------------------------------------------------------------------------


def ways(weights: Sequence[float] = WEIGHTS) -> dict[str, Way]:
    from collections_app.query import ask
    from plugins.hybrid_query import HybridQuery
    from plugins.simple_query import SimpleQuery

    def way(plugin: Any, **params: Any) -> Way:
        return lambda collection, text: ask(plugin, collection, text, {"top_k": DEPTH, "threshold": -1, **params})

    return {
        "simple": way(SimpleQuery()),
        **{f"hybrid {weight:g}": way(HybridQuery(), weight=weight) for weight in weights},
    }


def rank(rows: Sequence[Mapping[str, Any]], answer: str) -> int:
    """Where the first row stands that holds *answer*, from 1; 0 for nowhere."""
    wanted = flat(answer)
    return next((place for place, row in enumerate(rows, start=1) if wanted in flat(row["data"])), 0)


def groups(asked: Sequence[Question]) -> dict[str, list[int]]:
    """Which questions belong to a group, by their places in *asked*."""
    found: dict[str, list[int]] = {"all": list(range(len(asked)))}
    for key in ("language", "kind"):
        for value in dict.fromkeys(getattr(one, key) for one in asked):
            found[value] = [place for place, one in enumerate(asked) if getattr(one, key) == value]
    return found


def measure(
    collection: "Collection", asked: Sequence[Question], tried: Mapping[str, Way]
) -> dict[str, dict[str, Score]]:
    """Way → group → score."""
    scores = {}
    for name, way in tried.items():
        ranks = [rank(way(collection, one.question), one.answer) for one in asked]
        scores[name] = {group: Score.of([ranks[place] for place in places]) for group, places in groups(asked).items()}
    return scores


# -- Report -----------------------------------------------------------------------------------------


def show(scores: Mapping[str, Mapping[str, Score]], asked: Sequence[Question], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, caption="recall@1  recall@5  MRR")
    table.add_column("questions")
    for name in scores:
        table.add_column(name, justify="center")
    for group, places in groups(asked).items():
        found = [of[group] for of in scores.values()]
        cells = [f"{one.recall_1:.2f}  {one.recall_5:.2f}  {one.mrr:.3f}" for one in found]
        table.add_row(f"{group} ({len(places)})", *cells, end_section=group in ("all", asked[-1].language))
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default="simple_ingest", help="the plugin that cuts the documents")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="one of its parameters")
    parser.add_argument("--vendor", default="default")
    parser.add_argument("--model", default="default")
    parser.add_argument("--endpoint", default="default")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()

    from bench import _setup  # noqa: F401  (a throw-away database)
    from collections_app import services

    wanted = dict(pair.split("=", 1) for pair in options.param)
    if unknown := set(wanted) - set(loaded(options.plugin).get_parameters()):
        parser.error(f"{options.plugin} has no parameter {', '.join(unknown)}")
    given = {**DEFAULTS, **wanted}
    asked = checked_questions()
    model = {"vendor": options.vendor, "model": options.model, "api_endpoint": options.endpoint}
    collection = services.create_collection("retrieval", "1", embeddings=model)
    chunks = fill(collection, documents(options.plugin, given))
    began = time.perf_counter()
    scores = measure(collection, asked, ways())
    seconds = (time.perf_counter() - began) / len(asked) / len(scores)
    if options.json:
        plain = {way: {group: vars(score) for group, score in found.items()} for way, found in scores.items()}
        json.dump({"plugin": options.plugin, "params": given, "chunks": chunks, "scores": plain}, sys.stdout, indent=2)
    else:
        show(scores, asked, f"{chunks} chunks by {options.plugin}, {1000 * seconds:.1f} ms a question")


if __name__ == "__main__":
    main()
