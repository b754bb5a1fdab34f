"""Damaged documents through every file plugin, in real plugin hosts.

    python -m bench.mutants [--corpus DIR] [--count 500] [--seed N]

Each mutant is a good document with flipped bytes, a missing end, parts of another document, doubled or damaged members
of its archive, or another extension. It must end as done or as a failure that is explained: ``plugin_error`` is an
exception that nobody foresaw, ``plugin_crashed`` a host that died of it, ``timed_out`` one that found no end.
"""

import argparse
import io
import random
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from plugins.base import PluginError
from plugins.catalogue import PluginInfo, build_catalogue
from plugins.host_client import Done, HostProcess, HostSettings, RunRequest
from plugins.registry import plugin_modules
from tests.plugins import documents

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
SECONDS = 60.0  # for one run of one plugin
UNEXPLAINED = frozenset({"plugin_error", "plugin_crashed", "cpu_limit", "timed_out"})
PLUS_WAYS = (
    {"image_descriptions": "basic", "chunking_mode": "by_page"},
    {"image_descriptions": "basic", "chunking_mode": "by_section"},
    {},
)


@dataclass(frozen=True)
class Mutant:
    """A damaged document. ``how`` says from what, and what was done to it."""

    name: str
    data: bytes
    how: str


@dataclass
class Outcome:
    """How often runs ended in which way, and the runs that nobody can explain."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # by plugin and code
    unexplained: list[str] = field(default_factory=list)
    longest: float = 0.0
    runs: int = 0


# -- Making mutants ---------------------------------------------------------------------------------


def good_documents(corpus: Path | None = None) -> dict[str, bytes]:
    """Documents of every kind: the samples, generated ones, and those in *corpus*."""
    folders = [SAMPLES, *([corpus] if corpus else [])]
    found = {path.name: path.read_bytes() for folder in folders for path in sorted(folder.iterdir()) if path.is_file()}
    return generated() | {name: data for name, data in found.items() if len(data) < 5_000_000}


def generated() -> dict[str, bytes]:
    picture = documents.image(1)
    words = "The annual report lists every library branch. "
    drawn = documents.drawing("rId7", "A door")
    paragraphs = [("Heading1", "Report"), ("", f"{words}{drawn}{documents.PAGE_END}{words}"), ("Heading2", "End")]
    return {
        "made.pdf": documents.pdf([words * 3, "", words], pictures={2: documents.image(2, "JPEG")}),
        "made.docx": documents.docx(paragraphs, pictures={"rId7": picture}, notes=["A note."]),
        "made.pptx": documents.pptx([("Report", words), ("End", "Thanks")], pictures={2: picture}, notes="Say it."),
        "made.xlsx": documents.xlsx([["Branch", "Year", "Note"], ["North", 2024, words], [None, 3.5, "x"]]),
        "made.epub": documents.epub([words, words]),
        "made.xls": documents.ole("Workbook"),
        "made.msg": documents.ole("__properties_version1.0"),
        "made.zip": documents.zipped({"a.txt": words, "b.json": '{"text": "words"}', "c.docx": documents.docx([])}),
        "made.json": b'[{"text": "Words of a chunk.", "author": {"name": "Ann"}}, {"text": "More."}]',
        "made.xml": b'<rss version="2.0"><channel><title>Blog</title><item><title>News</title></item></channel></rss>',
    }


def mutants(good: dict[str, bytes], count: int, seed: int) -> Iterator[Mutant]:
    """*count* mutants, the same for the same *seed*."""
    chance = random.Random(seed)
    names = sorted(good)
    for number in range(count):
        name = names[number % len(names)]
        data, steps = good[name], []
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            damage = chance.choice(DAMAGES)
            data = damage(data, good[chance.choice(names)], chance)
            steps.append(damage.__name__)
        if chance.random() < 0.1:
            name = f"{Path(name).stem}.{chance.choice(names).rpartition('.')[2]}"
            steps.append(f"called {name}")
        yield Mutant(name, data, f"{number}: {names[number % len(names)]}, {', '.join(steps)}")


def flip(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(chance.choice([1, 3, 20, 200]), len(changed))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def cut(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def remove(data: bytes, other: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.choice([1, 10, 1000]) :]


def splice(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def repeat(data: bytes, other: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start : start + chance.choice([1, 50, 2000])] * chance.choice([2, 30]) + data[start:]


def doubled_member(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A member of the archive twice, the second time with what another one holds."""
    return _rezipped(data, chance, lambda name, content, all_: [(name, content), (name, chance.choice(all_))])


def missing_member(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return _rezipped(data, chance, lambda name, content, all_: [])


def damaged_member(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Damage inside of what is packed, which checksums do not show."""
    return _rezipped(data, chance, lambda name, content, all_: [(name, _damaged(content, other, chance))])


def shuffled_words(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """What a format is made of, in another order."""
    parts = data.split(b" ")
    first, second = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[first], parts[second] = parts[second], parts[first]
    return b" ".join(parts)


def _damaged(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return chance.choice([flip, cut, remove, repeat, shuffled_words])(content, other, chance) if content else other


Members = Callable[[str, bytes, list[bytes]], list[tuple[str, bytes]]]


def _rezipped(data: bytes, chance: random.Random, change: Members) -> bytes:
    """The archive with one of its members changed; what is no archive gets its bytes flipped."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # damaged before
        return flip(data, b"", chance)
    if not members:
        return data
    chosen = chance.randrange(len(members))
    name, content = members[chosen]
    members[chosen : chosen + 1] = change(name, content, [content for _, content in members])
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


Damage = Callable[[bytes, bytes, random.Random], bytes]
DAMAGES: list[Damage] = [flip, cut, remove, splice, repeat, shuffled_words, doubled_member, missing_member]
DAMAGES += [damaged_member] * 3


# -- Running them -----------------------------------------------------------------------------------


class Laboratory:
    """Runs mutants through the file plugins, each in a host that is replaced when it is worn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        catalogue = build_catalogue(plugin_modules())
        self.settings = HostSettings(modules=tuple(catalogue.modules), work_dir=folder / "work")
        self.plugins = [info for info in catalogue.ingest.values() if info.kind == "file-ingest"]
        self.outcome = Outcome()
        self._host: HostProcess | None = None

    def __enter__(self) -> "Laboratory":
        return self

    def __exit__(self, *_: object) -> None:
        if self._host:
            self._host.kill()

    def try_all(self, found: Iterable[Mutant], one_plugin_each: bool = False) -> Outcome:
        """Run each mutant through all plugins that take it, or through one, in turn."""
        for number, mutant in enumerate(found):
            takers = [info for info in self.plugins if mutant.name.rpartition(".")[2] in info.supported_file_types]
            for info in [takers[number % len(takers)]] if one_plugin_each and takers else takers:
                self.run(mutant, info, number)
        return self.outcome

    def run(self, mutant: Mutant, info: PluginInfo, number: int) -> None:
        path = self.folder / f"mutant.{mutant.name.rpartition('.')[2]}"
        path.write_bytes(mutant.data)
        params = PLUS_WAYS[number % len(PLUS_WAYS)] if info.name == "markitdown_plus_ingest" else {}
        spool = str(self.folder / "spool")
        context = {"original_filename": mutant.name, "content_hash": mutant.how, "file_url": f"/static/a/b/{path.name}"}
        began = time.monotonic()
        code, why = self.end_of(RunRequest(str(number), info.name, str(path), params, spool, "key", context))
        self.outcome.longest = max(self.outcome.longest, time.monotonic() - began)
        self.outcome.runs += 1
        self.outcome.ends[info.name, code] += 1
        if code in UNEXPLAINED:
            self.outcome.unexplained.append(f"{info.name} {code} | {mutant.how} | {why}")

    def end_of(self, request: RunRequest) -> tuple[str, str]:
        """The code of the run's end, and what is known about it."""
        deadline = time.monotonic() + SECONDS
        try:
            with closing(self.host().run(request)) as reports:
                for report in reports:
                    if isinstance(report, Done):
                        return ("needs attention" if report.stats.get("needs_attention") else "done"), ""
                    if time.monotonic() > deadline:
                        return "timed_out", ""
        except PluginError as error:
            return error.code, f"{error.message} {error.context.get('traceback', '')}"
        return "plugin_crashed", "the run ended without a word"

    def host(self) -> HostProcess:
        if self._host is None or self._host.needs_replacement or self._host.aged:
            if self._host:
                self._host.kill()
            self._host = HostProcess.start(self.settings)
        return self._host


def show(outcome: Outcome, seconds: float) -> None:
    codes = sorted({code for _, code in outcome.ends}, key=lambda code: (code in UNEXPLAINED, code))
    table = Table(title=f"{outcome.runs} runs in {seconds:.0f} s, the longest {outcome.longest:.1f} s")
    for column in ("plugin", *codes):
        table.add_column(column, justify="left" if column == "plugin" else "right", no_wrap=True)
    for plugin in sorted({plugin for plugin, _ in outcome.ends}):
        table.add_row(plugin, *(str(outcome.ends[plugin, code] or "") for code in codes))
    table.add_section()
    totals = [str(sum(count for (_, known), count in outcome.ends.items() if known == code)) for code in codes]
    table.add_row("all", *totals)
    console = Console(width=max(Console().width, 160))
    console.print(table)
    for line in outcome.unexplained:
        console.print(line, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="a folder of further documents")
    parser.add_argument("--count", type=int, default=500, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    options: Any = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Laboratory(Path(folder)) as laboratory:
        outcome = laboratory.try_all(mutants(good_documents(options.corpus), options.count, options.seed))
    show(outcome, time.monotonic() - began)
    sys.exit(1 if outcome.unexplained else 0)


if __name__ == "__main__":
    main()
