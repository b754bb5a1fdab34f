"""What open pages cost: ``python -m bench.pages [--pages 100] [--seconds 30] [--jobs 5000]``

*pages* people watch collections in which jobs run, each page asking once in three seconds as it does in a browser; with
ETags as browsers send them, without, and with jobs that have ended (then a page asks nothing any more, but somebody
may load it). Then how long a collection of so many jobs takes: the page, its live part, a search, the last page.
"""

import argparse
import http.client
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from bench.polling import cpu
from bench.server import ROOT, Server

COLLECTIONS = 10
JOBS = 30  # in each; as many as there are workers run, the others wait
REFRESH = 3.0
PASSWORD = "bench-password-0123"  # noqa: S105  (of a user that lives for a test)
ADD_USER = """
import django, sys
django.setup()
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("bench", password=sys.argv[1])
"""


class Visitor:
    """Somebody with a page open."""

    def __init__(self, port: int, cookie: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookie = cookie

    def get(self, path: str, tag: str = "") -> tuple[int, bytes, str]:
        headers = {"Cookie": self.cookie, "X-Requested-With": "fetch", **({"If-None-Match": tag} if tag else {})}
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("ETag", tag)


def log_in(server: Server) -> str:
    """The cookie of a session."""
    environment = {**server.environment, "DJANGO_SETTINGS_MODULE": "kbproject.settings"}
    subprocess.run([sys.executable, "-c", ADD_USER, PASSWORD], cwd=ROOT, env=environment, check=True)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/ui/login")
    page = connection.getresponse()
    text = page.read().decode()
    csrf = page.headers["Set-Cookie"].split(";")[0]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert token
    form = urlencode({"username": "bench", "password": PASSWORD, "csrfmiddlewaretoken": token[1]})
    headers = {"Cookie": csrf, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/ui/login", form, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 302, answer.status
    return next(
        cookie.split(";")[0] for cookie in answer.headers.get_all("Set-Cookie", []) if cookie.startswith("kb_session")
    )


def watched(server: Server, cookie: str, collections: list[int], pages: int, seconds: float, *, tags: bool) -> None:
    ends = time.monotonic() + seconds
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    lock = threading.Lock()

    def page(number: int) -> None:
        visitor = Visitor(server.port, cookie)
        path = f"/ui/collections/{collections[number % len(collections)]}/live?"
        tag = ""
        time.sleep(REFRESH * number / pages)  # people open pages one after the other
        while time.monotonic() < ends:
            began = time.monotonic()
            status, _, known = visitor.get(path, tag if tags else "")
            tag = known
            with lock:
                latencies.append(time.monotonic() - began)
                statuses[status] = statuses.get(status, 0) + 1
            time.sleep(max(0.0, REFRESH - (time.monotonic() - began)))

    before, began = cpu(server), time.monotonic()
    threads = [threading.Thread(target=page, args=(number,)) for number in range(pages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.monotonic() - began, cpu(server) - before
    ranked = sorted(latencies)
    p50, p99 = (1000 * ranked[int(share * len(ranked))] for share in (0.5, 0.99))
    print(
        f"{pages} pages, {'with' if tags else 'without'} ETag: {len(ranked) / took:5.1f} requests/s   "
        f"{100 * used / took:4.0f} % of one CPU   {1000 * used / len(ranked):5.1f} ms CPU a request   "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms   {statuses}",
        flush=True,
    )


def large(server: Server, cookie: str, jobs: int) -> None:
    """A collection of many jobs that have ended, written as rows: what is measured is reading them."""
    collection = server.create_collection("large", owner="bench")
    server.wait(collection, server.upload(collection, "model.txt", b"Some text to begin with. " * 40))
    with closing(sqlite3.connect(server.folder / "data" / "kb.sqlite3", timeout=30)) as database:
        table = "ingestion_fileregistry"
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
        fresh = {"storage_key": "NULL", "run_id": "NULL", "original_filename": "'file ' || n || '.txt'"}
        chosen = ", ".join(fresh.get(name, f'"{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        database.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {jobs - 1}) "  # noqa: S608
            f"INSERT INTO {table} ({names}) SELECT {chosen} FROM {table}, numbers WHERE collection_id = {collection}"
        )
        database.commit()
    visitor = Visitor(server.port, cookie)
    base = f"/ui/collections/{collection}"
    for label, path in {
        "page": base,
        "live part": f"{base}/live?",
        "search": f"{base}?q=file+49",
        "sorted by name": f"{base}?sort=name",
        "last page": f"{base}?page={-(-jobs // 50)}",
    }.items():
        taken, size = [], 0
        for _ in range(9):
            began = time.monotonic()
            status, body, _ = visitor.get(path)
            taken.append(1000 * (time.monotonic() - began))
            size = len(body)
            assert status == 200, (path, status)
        print(
            f"{jobs:,} jobs, {label:<16} {statistics.median(taken):5.0f} ms (at most {max(taken):.0f})  {size:,} bytes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--jobs", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb-pages-") as folder:
        server = Server(Path(folder), KB_PLUGIN_MODULES="bench.slow_plugin")
        try:
            server.start()
            cookie = log_in(server)
            large(server, cookie, options.jobs)
            collections = [server.create_collection(f"watched {n}", owner="bench") for n in range(COLLECTIONS)]
            slow = {"seconds": 10_000, "steps": 10_000}
            for collection in collections:
                for number in range(JOBS):
                    server.upload(collection, f"{number}.txt", b"A slow text.", "slow_ingest", slow)
            for _ in range(2):
                for tags in (False, True):
                    watched(server, cookie, collections, options.pages, options.seconds, tags=tags)
        finally:
            server.end()


if __name__ == "__main__":
    main()
