"""Large documents through a real server: time, memory, and how steadily it tells of its progress.

    python -m bench.large [--pages 1000] [--megabytes 100] [--repeat 3]

A generated PDF and a generated CSV, uploaded and polled; the host's and the worker's highest resident memory while they
run, and the longest time in which a poller saw nothing new. Then a crawl is cancelled through the API: when the answer
comes, and when the process that fetches is gone.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.server import Server
from tests.plugins import documents
from tests.support.site import Site, fill_handbook

PROSE = "The pump of the third hall is checked on Mondays, and its filter is changed when the needle leaves the green. "
POLL_SECONDS = 0.02
LIVE = {"pending", "processing"}


@dataclass
class Seen:
    seconds: float
    host_mb: float
    worker_mb: float
    gap: float
    chunks: int


def roles(server: Server) -> dict[str, list[psutil.Process]]:
    """Hosts, and the workers, whose children they are."""
    hosts = [process for process in server.processes() if "plugins.host" in " ".join(process.cmdline())]
    return {"host": hosts, "worker": [parent for host in hosts if (parent := host.parent())]}


def peak(processes: list[psutil.Process]) -> float:
    """The highest resident memory of any of them so far, in MB."""
    lines = [line for one in processes for line in Path(f"/proc/{one.pid}/status").read_text().splitlines()]
    return max((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), default=0.0)


def forget_peaks(server: Server) -> None:
    for processes in roles(server).values():
        for process in processes:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def run(server: Server, collection: int, name: str, content: bytes) -> Seen:
    forget_peaks(server)
    job = server.upload(collection, name, content, "markitdown_ingest")
    told, since, gap = None, 0.0, 0.0
    while True:
        state = server.job(collection, job)
        if state["status"] == "processing" and state["updated_at"] != told:
            now = time.monotonic()
            gap = max(gap, now - since) if told else gap
            told, since = state["updated_at"], now
        if state["status"] not in LIVE:
            break
        time.sleep(POLL_SECONDS)
    assert state["status"] == "completed", state["error_message"]
    memory = {role: peak(processes) for role, processes in roles(server).items()}
    seconds = state["processing_duration_seconds"]
    return Seen(seconds, memory["host"], memory["worker"], gap, state["document_count"])


def tell(what: str, seen: list[Seen]) -> None:
    seconds = sorted(one.seconds for one in seen)
    print(
        f"{what:<16} {statistics.median(seconds):6.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})   "
        f"host {max(one.host_mb for one in seen):.0f} MB, worker {max(one.worker_mb for one in seen):.0f} MB, "
        f"longest silence {max(one.gap for one in seen):.2f} s, {seen[0].chunks:,} chunks"
    )


def cancel(server: Server, collection: int, site: Site, repeat: int) -> None:
    answered, gone = [], []
    for turn in range(repeat):
        address = f"{site.url}/page/{turn}"
        body = {"plugin_name": "url_ingest", "plugin_params": {"url": address, "limit": 500, "delay": 0}}
        job = int(server.expect("POST", f"/collections/{collection}/ingest-base", body)["id"])
        server.wait(collection, job, lambda job: job["progress"]["unit"] == "url" and job["progress"]["current"] >= 3)
        busy = max(roles(server)["host"], key=lambda host: host.cpu_times().user)
        running = {host.pid for host in roles(server)["host"]}
        began = time.monotonic()
        server.expect("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
        answered.append(time.monotonic() - began)
        while busy.pid in running and busy.is_running() and time.monotonic() - began < 10:
            time.sleep(0.005)
            running = {host.pid for host in roles(server)["host"]}
        asked = len(site.asked)
        gone.append(time.monotonic() - began)
        time.sleep(0.5)
        assert len(site.asked) - asked <= 1, "pages were asked for after the cancel"
    print(
        f"{'crawl cancelled':<16} answer {statistics.median(answered) * 1000:.0f} ms (at most "
        f"{max(answered) * 1000:.0f}), its host gone after {statistics.median(gone):.2f} s (at most {max(gone):.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    pdf = documents.pdf([f"Page {number}. {PROSE * 15}" for number in range(1, given.pages + 1)])
    row = b"1042;2026-01-31;third hall;pump;checked, filter changed;Ana\n"
    csv = b"number;day;place;part;work;by\n" + row * (given.megabytes * 1_000_000 // len(row))
    with tempfile.TemporaryDirectory(prefix="kb-large-") as folder, Site() as site:
        fill_handbook(site, 600)
        server = Server(Path(folder), KB_LOG_LEVEL="WARNING", KB_FETCH_ALLOW_PRIVATE="127.0.0.0/8",
                        MAX_CONCURRENT_INGESTION_TASKS=1)  # fmt: skip
        try:
            server.start()
            collection = server.create_collection("large")
            run(server, collection, "warm.pdf", documents.pdf(["warm"]))
            tell(f"PDF, {given.pages} pages", [run(server, collection, "a.pdf", pdf) for _ in range(given.repeat)])
            tell(f"CSV, {given.megabytes} MB", [run(server, collection, "a.csv", csv) for _ in range(given.repeat)])
            cancel(server, collection, site, given.repeat)
            server.stop()
        finally:
            server.end()


if __name__ == "__main__":
    main()
