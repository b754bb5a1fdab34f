"""The web source on a local site of 500 pages of 24 KB: speed, memory, no page twice, and how soon it is cancelled.

    python -m bench.crawl [--pages 500] [--repeat 5] [--changed 25]

Site and crawler are processes of their own. Each crawl is followed by a second one after some pages have changed, with
what the first one has kept: it asks for each page, and fetches those alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ALLOWED = {"KB_FETCH_ALLOW_PRIVATE": "127.0.0.0/8"}


class LocalSite:
    """The site in its process; obeys one word a line."""

    def __init__(self, pages: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crawl", "--serve", str(pages)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._answer()["url"]

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def serve(pages: int) -> None:
    """Be the site: ``change N`` gives N pages another text, ``count`` tells what was asked for since the last time."""
    from tests.support.site import Site, fill_handbook

    version = 0
    with Site() as site:
        fill_handbook(site, pages)
        print(json.dumps({"url": site.url}), flush=True)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "change":
                version += 1
                changed = int(argument)
                fill_handbook(site, pages, lambda number, c=changed, v=version: v if number < c else 0)
            paths = site.paths()
            counts = {"requests": len(paths), "addresses": len(set(paths)), "sent": site.statuses.count(200)}
            site.forget()
            print(json.dumps(counts), flush=True)


def crawl(url: str, kept: str, pages: int) -> None:
    """Crawl once, in this process, and print how it went."""
    import resource

    from plugins.url_ingest import UrlIngest

    stats: dict[str, Any] = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    params = {"url": url, "limit": 2 * pages, "max_discovery_depth": 20, "timeout": 600, "delay": 0}
    chunks = sum(1 for _ in UrlIngest().ingest(kept, kept_folder=kept, stats_callback=stats.update, **params))
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": seconds,
                "chunks": chunks,
                "start_mb": before / 1024,
                "peak_mb": after / 1024,
                "pages": stats["pages"],
            }
        )
    )


def run_crawl(url: str, kept: Path, pages: int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        subprocess.run(
            [sys.executable, "-m", "bench.crawl", "--crawl", url, str(kept), str(pages)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    return answer


def cancel(url: str, folder: Path) -> float:
    """Seconds from the decision to cancel a running crawl until its host is gone."""
    from plugins.host_client import HostProcess, HostSettings, RunRequest

    host = HostProcess.start(HostSettings(modules=("plugins.url_ingest",), work_dir=folder / "work", env=ALLOWED))
    request = RunRequest(
        run="1",
        plugin="url_ingest",
        path=str(folder),
        params={"url": url, "limit": 1000, "delay": 0},
        spool=str(folder / "spool"),
        spool_key="key",
    )
    reports = host.run(request)
    for number, _ in enumerate(reports):
        if number == 20:
            break
    began = time.perf_counter()
    reports.close()
    host.kill()
    assert not (folder / "spool").exists()
    return time.perf_counter() - began


def line(name: str, runs: list[dict[str, Any]], pages: int) -> str:
    rates = [pages / run["seconds"] for run in runs]
    peak = statistics.median(run["peak_mb"] for run in runs)
    start = statistics.median(run["start_mb"] for run in runs)
    speed = f"{statistics.median(rates):7.0f} pages/s ({min(rates):.0f} to {max(rates):.0f})"
    return f"{name:<12} {speed}   {start:.0f} MB at start, {peak:.0f} MB at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--changed", type=int, default=25)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--crawl", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.update(ALLOWED)
    if arguments.serve:
        serve(arguments.serve)
        return
    if arguments.crawl:
        crawl(arguments.crawl[0], arguments.crawl[1], int(arguments.crawl[2]))
        return

    pages, changed = arguments.pages, arguments.changed
    site = LocalSite(pages)
    first, second, cancels = [], [], []
    with tempfile.TemporaryDirectory(prefix="kb-crawl-") as name:
        for turn in range(arguments.repeat):
            kept = Path(name, str(turn))
            kept.mkdir()
            first.append(run_crawl(site.url, kept, pages))
            asked = site.ask("count")
            assert first[-1]["pages"]["read"] == pages
            assert asked["requests"] == asked["addresses"] == pages + 1  # the first address redirects
            site.ask(f"change {changed}")
            second.append(run_crawl(site.url, kept, pages))
            asked = site.ask("count")
            assert second[-1]["pages"]["unchanged"] == pages - changed
            assert asked["requests"] == asked["addresses"] == pages + 1
            assert asked["sent"] == changed
            folder = Path(name, f"cancel-{turn}")
            folder.mkdir()
            cancels.append(cancel(site.url, folder))
            site.ask("count")
    site.close()
    print(line("first run", first, pages))
    print(line("second run", second, pages) + f"; {changed} of {pages} pages sent again")
    print(f"cancelled    {statistics.median(cancels):7.3f} s (at most {max(cancels):.3f})")


if __name__ == "__main__":
    main()
