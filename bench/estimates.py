"""How good the estimates of live jobs are: ``python -m bench.estimates [--jobs N] [--keep FILE] [--from FILE]``

A real server ingests a mixture (texts, PDFs and tables, sizes spread over three powers of ten, in bursts, with the
built-in model). Each live job is asked twice a second when it will be done; afterwards what it said is held against
what then happened. The first jobs only make the history.

``--keep`` writes the recording, a line of JSON for each answer; ``--from`` judges one again without a server.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.floor import make_text
from bench.server import Server
from plugins.normalise import counted
from tests.plugins import documents

HISTORY = 90  # jobs before any answer counts
EVERY = 0.5  # seconds between two rounds
BURST = 12  # jobs at once; the next come when half of them are done
LEAST_SECONDS = 1.0  # real remains below this are judged by it: half a second more or less matters to nobody


@dataclass(frozen=True)
class Answer:
    """What a job said, and when. ``stage``: waiting, reading or storing; ``at``: seconds; estimates None: unknown."""

    job: int
    plugin: str
    size: int
    stage: str
    at: float
    low: float | None
    likely: float | None
    high: float | None
    stalled: bool


@dataclass(frozen=True)
class Judged:
    """An answer with what then happened: ``left`` seconds until the job was done."""

    answer: Answer
    left: float

    @property
    def within(self) -> bool:
        low, high = self.answer.low, self.answer.high
        return low is not None and high is not None and low <= self.left <= high

    @property
    def factor(self) -> float:
        """By which the estimate was too long or too short, 1 is exact."""
        assert self.answer.likely is not None
        said, real = max(LEAST_SECONDS, self.answer.likely), max(LEAST_SECONDS, self.left)
        return max(said / real, real / said)


# -- Recording --------------------------------------------------------------------------------------


def sources(seed: int) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and plugin, without end."""
    random_ = random.Random(seed)
    for number in range(10**9):
        kind = random_.choice(["text", "text", "pdf", "table"])
        size = int(math.exp(random_.uniform(math.log(4_000), math.log(4_000_000))))
        if kind == "text":
            yield f"{number}.txt", make_text(size, number), "simple_ingest"
        elif kind == "pdf":
            pages = max(1, size // 20_000)
            words = make_text(1_800, number).decode().replace("\n", " ")
            yield (
                f"{number}.pdf",
                documents.pdf([f"Page {page}. {words}" for page in range(pages)]),
                "markitdown_ingest",
            )
        else:
            rows = size // 40
            lines = "".join(f"{row},{row * 7 % 1000},name {row},{row % 17}\n" for row in range(rows))
            yield f"{number}.csv", f"id,value,name,group\n{lines}".encode(), "markitdown_ingest"


def record(server: Server, jobs: int, seed: int, console: Console) -> list[Judged]:
    server.start()
    collection = server.create_collection("mixture")
    made = sources(seed)
    live: dict[int, int] = {}
    answers: list[Answer] = []
    ended: dict[int, float] = {}
    submitted = done = 0
    with console.status("") as status:
        while done < HISTORY + jobs:
            if len(live) <= BURST // 2 and submitted < HISTORY + jobs:
                for _ in range(min(BURST, HISTORY + jobs - submitted)):
                    name, content, plugin = next(made)
                    live[server.upload(collection, name, content, plugin)] = submitted
                    submitted += 1
            began = time.monotonic()
            for job, place in list(live.items()):
                said = server.job(collection, job)
                if said["status"] in {"pending", "processing"}:
                    if place >= HISTORY:
                        answers.append(answer_of(job, said))
                    continue
                assert said["status"] == "completed", said
                ended[job] = time.monotonic()
                del live[job]
                done += 1
            status.update(f"{done} of {HISTORY + jobs} jobs, {counted(len(answers), 'answer')}")
            time.sleep(max(0.0, EVERY - (time.monotonic() - began)))
    return [Judged(answer, max(0.0, ended[answer.job] - answer.at)) for answer in answers]


def answer_of(job: int, said: dict[str, Any]) -> Answer:
    storing = said["progress"]["unit"] == "chunk"
    stage = "waiting" if said["status"] == "pending" else "storing" if storing else "reading"
    return Answer(
        job, said["plugin_name"], said["file_size"], stage, time.monotonic(),
        said["eta_low_seconds"], said["eta_seconds"], said["eta_high_seconds"], said["stalled"],
    )  # fmt: skip


def keep(path: Path, judged: Iterable[Judged]) -> None:
    with path.open("w") as file:
        for one in judged:
            file.write(json.dumps({**asdict(one.answer), "left": round(one.left, 3)}) + "\n")


def kept(path: Path) -> list[Judged]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Judged(Answer(**{name: line[name] for name in line if name != "left"}), line["left"]) for line in lines]


# -- Judging ----------------------------------------------------------------------------------------


def table(judged: list[Judged]) -> Table:
    shown = Table(title="Estimates against what then happened")
    for name in ("stage", "answers", "with an estimate", "within low and high", "factor, median", "factor, 9 of 10"):
        shown.add_column(name, justify="left" if name == "stage" else "right")
    for stage in ("waiting", "reading", "storing", "all"):
        of = [one for one in judged if stage in (one.answer.stage, "all")]
        known = [one for one in of if one.answer.likely is not None]
        if not known:
            shown.add_row(stage, f"{len(of):,}", "none", "", "", "")
            continue
        factors = sorted(one.factor for one in known)
        shown.add_row(
            stage,
            f"{len(of):,}",
            f"{100 * len(known) / len(of):.0f} %",
            f"{100 * sum(one.within for one in known) / len(known):.0f} %",
            f"{statistics.median(factors):.2f}",
            f"{factors[int(0.9 * len(factors))]:.2f}",
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=150, help="that are judged (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the recording")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="recording", help="judge a recording")
    options = parser.parse_args()
    console = Console()
    if options.recording:
        judged = kept(options.recording)
    else:
        with tempfile.TemporaryDirectory(prefix="kb-estimates-") as folder:
            server = Server(Path(folder))
            try:
                judged = record(server, options.jobs, options.seed, console)
            finally:
                server.end()
    if options.keep:
        keep(options.keep, judged)
    jobs = len({one.answer.job for one in judged})
    stalls = len({one.answer.job for one in judged if one.answer.stalled})
    console.print(table(judged))
    console.print(f"{jobs} jobs; {stalls} of them were called stalled, and completed.")


if __name__ == "__main__":
    main()
