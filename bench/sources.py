"""Every plugin over a source of its kind, by HTTP and by ``manage.py ingest``, watched by a poller as a page would.

    python -m bench.sources [--json]

A real server with real workers, a local web site and a local server that answers as YouTube does. Each line says what
the poller saw of the job: its units, how often its progress changed, its messages, and what came out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.server import ROOT, Server
from plugins.parameters import ADDRESS_PARAMETERS
from tests.plugins import documents
from tests.support.site import Site, fill_handbook
from tests.support.youtube import YouTube, demonstration

SAMPLES = ROOT / "samples"
PAGES = 12
POLL_SECONDS = 0.01
PROSE = "The library opens at eight. Loans last three weeks and may be renewed twice. " * 12


@dataclass(frozen=True)
class Source:
    """What a plugin is given: a file, or nothing but parameters."""

    plugin: str
    name: str
    content: bytes | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """What a poller saw of a job."""

    units: list[str] = field(default_factory=list)
    reports: set[tuple[Any, ...]] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)

    def look(self, job: dict[str, Any]) -> None:
        progress = job["progress"]
        if job["status"] == "pending":
            return
        if progress["unit"] not in self.units:
            self.units.append(progress["unit"])
        self.reports.add((progress["unit"], progress["current"], progress["total"], progress["message"]))
        said = progress["message"]
        if said and said not in self.messages and progress["unit"] != "chunk":
            self.messages.append(said)


def files() -> Iterator[Source]:
    for name in ("welcome.md", "preguntas-frecuentes.txt", "asking-good-questions.html"):
        yield Source("simple_ingest", name, (SAMPLES / name).read_bytes())
    pages = [f"Page {number}. {PROSE}" for number in range(1, 13)]
    slides = [(f"Slide {number}", PROSE) for number in range(1, 7)]
    report, deck = documents.pdf(pages), documents.pptx(slides)
    rules = (SAMPLES / "house-rules.docx").read_bytes()
    yield Source("markitdown_ingest", "house-rules.docx", rules)
    yield Source("markitdown_ingest", "report.pdf", report)
    yield Source("markitdown_ingest", "chunk-sizes.csv", (SAMPLES / "chunk-sizes.csv").read_bytes())
    yield Source("markitdown_ingest", "book.epub", documents.epub([PROSE, PROSE]))
    yield Source("markitdown_plus_ingest", "house-rules.docx", rules)
    yield Source("markitdown_plus_ingest", "report.pdf", report, {"chunking_mode": "by_page", "pages_per_chunk": 2})
    yield Source("markitdown_plus_ingest", "slides.pptx", deck, {"chunking_mode": "by_page"})
    yield Source("markitdown_plus_ingest", "house-rules.docx", rules, {"chunking_mode": "by_section"})
    pictured = documents.pdf(pages[:4], pictures={1: documents.image(1, "JPEG"), 3: documents.image(2, "JPEG")})
    yield Source("markitdown_plus_ingest", "pictures.pdf", pictured, {"image_descriptions": "basic"})
    yield Source("hierarchical_ingest", "welcome.md", (SAMPLES / "welcome.md").read_bytes())
    yield Source("markitdown_hierarchical_ingest", "house-rules.docx", rules)
    chunks = [{"text": f"Note {number}. {PROSE[:200]}", "page": number} for number in range(1, 9)]
    yield Source("mockai_json_ingest", "chunks.json", json.dumps(chunks).encode())
    members: dict[str, bytes | str] = {f"{chunk['page']}.json": json.dumps(chunk) for chunk in chunks}
    yield Source("mockai_json_ingest", "chunks.zip", documents.zipped(members))
    yield Source("youtube_transcript_ingest", "office-hours.srt", (SAMPLES / "office-hours.srt").read_bytes())


def fetched(site: Site, tube: YouTube) -> Iterator[Source]:
    address = f"{site.url}/page/0"
    yield Source("url_ingest", address, params={"url": address, "limit": PAGES, "delay": 0})
    videos = [f"https://youtu.be/{video}" for video in list(tube.videos)]
    one = {"proxy_url": tube.proxy, "chunk_duration": 30}
    yield Source("youtube_transcript_ingest", videos[0], params={"video_url": videos[0], **one})
    yield Source("youtube_transcript_ingest", "several videos", params={"video_url": "\n".join(videos), **one})


@contextmanager
def running() -> Iterator[tuple[Server, Site, YouTube, Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kb-sources-")))
        site, tube = stack.enter_context(Site()), stack.enter_context(YouTube(folder))
        fill_handbook(site, PAGES * 2)
        tube.videos = demonstration()
        server = Server(
            folder, KB_FETCH_ALLOW_PRIVATE="127.0.0.0/8", SSL_CERT_FILE=tube.ca_file, KB_LOG_LEVEL="WARNING"
        )
        server.start()
        stack.callback(server.end)
        stack.callback(server.stop)
        yield server, site, tube, folder


def by_http(server: Server, collection: int, source: Source) -> int:
    if source.content is not None:
        return server.upload(collection, source.name, source.content, source.plugin, source.params)
    body = {"plugin_name": source.plugin, "plugin_params": source.params}
    return int(server.expect("POST", f"/collections/{collection}/ingest-base", body)["id"])


@contextmanager
def by_command(server: Server, collection: int, source: Source, folder: Path) -> Iterator[int]:
    """``manage.py ingest …`` while it watches its job, and the number of that job."""
    named = source.name
    if source.content is not None:
        path = folder / source.name
        path.write_bytes(source.content)
        named = str(path)
    elif "://" not in named:
        named = source.params["video_url"].split()[0]
    beside = {key: value for key, value in source.params.items() if key not in ADDRESS_PARAMETERS}
    params = [text for key, value in beside.items() for text in ("--param", f"{key}={value}")]
    command = [sys.executable, "manage.py", "ingest", named, "--collection", str(collection), "--plugin", source.plugin]
    before = newest(server, collection)
    with subprocess.Popen(
        [*command, *params], cwd=ROOT, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        while (job := newest(server, collection)) == before:
            if run.poll() is not None:
                raise RuntimeError(run.stdout.read().decode() if run.stdout else "")
            time.sleep(POLL_SECONDS)
        yield job
        if run.wait(60):
            raise RuntimeError(run.stdout.read().decode() if run.stdout else "")


def newest(server: Server, collection: int) -> int:
    jobs = server.expect("GET", f"/collections/{collection}/ingestion-jobs?limit=1")["items"]
    return int(jobs[0]["id"]) if jobs else 0


def watch(server: Server, collection: int, job: int) -> tuple[dict[str, Any], Seen]:
    seen, deadline = Seen(), time.monotonic() + 120
    while True:
        state = server.job(collection, job)
        seen.look(state)
        if state["status"] not in {"pending", "processing"}:
            return state, seen
        if time.monotonic() > deadline:
            raise TimeoutError(str(state))
        time.sleep(POLL_SECONDS)


def measure() -> list[dict[str, Any]]:
    rows = []
    with running() as (server, site, tube, folder):
        collection = server.create_collection("sources")
        for source in [*files(), *fetched(site, tube)]:
            rows.append(row_of(source, "HTTP", *watch(server, collection, by_http(server, collection, source))))
            with by_command(server, collection, source, folder) as job:
                rows.append(row_of(source, "command", *watch(server, collection, job)))
    return rows


def row_of(source: Source, way: str, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
    return {
        "plugin": source.plugin,
        "source": source.name.rpartition("/")[2] if "://" in source.name else source.name,
        "way": way,
        "status": state["status"] if state["status"] == "completed" else f"{state['status']} ({state['error_code']})",
        "units": " → ".join(seen.units),
        "reports": len(seen.reports),
        "messages": seen.messages,
        "chunks": state["document_count"],
        "seconds": state["processing_duration_seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="machine-readable, with all messages")
    options = parser.parse_args()
    rows = measure()
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table("plugin", "source", "way", "status", "units", "reports", "a message", "chunks", "s")
    for row in rows:
        message = row["messages"][-1] if row["messages"] else ""
        cells = [row["plugin"], row["source"], row["way"], row["status"], row["units"], row["reports"], message]
        table.add_row(*map(str, [*cells, row["chunks"], row["seconds"]]))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
