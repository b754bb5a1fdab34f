"""What fits the schema of the API, and what does not, thrown at a real server with real workers.

    python -m bench.fuzz [REQUESTS] [SECONDS]

schemathesis makes the requests out of ``docs/openapi.json``, alone and in chains, and judges every answer: no 5xx,
nothing that the schema does not say, nobody let in without a token. Ids are kept small, so that most of them exist.
All of it happens in a network namespace of its own, that has a loopback device and nothing else: what is fuzzed
names addresses to fetch and to embed at. Ends with code 1 when anything was found. Linux only.
"""

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.server import ROOT, TOKEN, Server

COLLECTIONS = 12
ALONE = "KB_FUZZ_ALONE"  # set in the environment of the process that runs in its own namespace
ROUND_EXAMPLES, ROUND_SECONDS = 60, 240  # of an operation, and of all: schemathesis goes on until they are over
KEPT = ROOT / "docs" / "openapi.json"
Ids = dict[str, tuple[int, int]]  # first and last, by the name of the parameter
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,positive_data_acceptance,ignored_auth,use_after_free,unsupported_method,"
    "ensure_resource_availability"
)
# What the schema allows may still make no sense (400), and forms are read with more patience than it says.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 400, 404, 409, 422]

[generation]
database = "none"
"""
TAKEN = ("NewCollection", "CollectionChanges", "EmbeddingsModel", "EmbeddingsConfig", "Upload", "Addresses", "Source")
WORDS: dict[str, list[str | None]] = {
    "plugin_name": ["simple_ingest", "hierarchical_ingest", "url_ingest", "slow_ingest", "nothing"],
    "vendor": ["default", "local", "openai", "ollama"],
    "model": ["default", "wordllama-l2-supercat-256"],
    "visibility": ["private", "public"],
}
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def main(requests: int, seconds: float) -> int:
    if ALONE not in os.environ:
        os.environ[ALONE] = "1"
        os.execvp("unshare", ["unshare", "-rn", sys.executable, "-m", "bench.fuzz", str(requests), str(seconds)])  # noqa: S606, S607
    raise_loopback()
    with tempfile.TemporaryDirectory(prefix="kb-fuzz-") as folder:
        server = Server(
            Path(folder) / "server",
            KB_PLUGIN_MODULES="bench.slow_plugin",
            KB_RETRY_BASE_SECONDS=0.2,
            KB_RETRY_PATIENCE_SECONDS=2,
            KB_WEB_THREADS=8,
            KB_LOG_LEVEL="ERROR",
        )
        server.start()
        try:
            return fuzz(server, Path(folder), requests, seconds)
        finally:
            server.end()


def raise_loopback() -> None:
    """A new namespace has its loopback device down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))


def seed(server: Server, number: int) -> Ids:
    """Collections with a file that completes, one that fails, one that is cancelled and one that takes its time.

    :return: first and last id of the collections and of their jobs
    """
    collections, jobs = [], []
    for one in range(COLLECTIONS):
        collection = server.create_collection(f"fuzzed {number}.{one}")
        jobs.append(server.upload(collection, "lamp.txt", b"The lamp of the lighthouse is lit at dusk. " * 50))
        jobs.append(server.upload(collection, "binary.txt", bytes(range(256)) * 20))
        jobs.append(server.upload(collection, "slow.txt", b"slowly", plugin="slow_ingest", params={"seconds": 5}))
        jobs.append(server.upload(collection, "slower.txt", b"slowly", plugin="slow_ingest", params={"seconds": 50}))
        server.expect("POST", f"/collections/{collection}/ingestion-jobs/{jobs[-1]}/cancel")
        collections.append(collection)
    job_ids = (jobs[0], jobs[-1])
    return {"collection_id": (collections[0], collections[-1]), "job_id": job_ids, "file_id": job_ids}


def fuzz(server: Server, folder: Path, wanted: int, seconds: float) -> int:
    """Rounds, each on collections of its own, until *wanted* requests were sent, or *seconds* are over.

    Every second round deletes collections too, which leaves little for the other operations.
    """
    (folder / "schemathesis.toml").write_text(CONFIG)
    schema = folder / "openapi.json"
    deadline, sent, found, rounds = time.monotonic() + seconds, 0, 0, 0
    while sent < wanted and time.monotonic() < deadline and not found:
        rounds += 1
        schema.write_text(json.dumps(sharpened(json.loads(KEPT.read_text()), seed(server, rounds))))
        options = ["--exclude-operation-id", "delete_collection"] if rounds % 2 else []
        left = max(1, int(min(ROUND_SECONDS, deadline - time.monotonic())))
        count, failed = one_round(server, folder, schema, options, left, rounds)
        sent, found = sent + count, found + failed
    crashes = server.log.read_text(errors="replace").count("Traceback")
    answers = server.call("GET", "/health")[0]
    print(f"\n{sent:,} requests in {rounds} rounds; {crashes} tracebacks in the server's log; /health: {answers}")
    if crashes:
        print(server.tail(20_000))
    return 1 if found or crashes or answers != 200 else 0


def one_round(
    server: Server, folder: Path, schema: Path, options: list[str], seconds: int, seed: int
) -> tuple[int, int]:
    """Requests sent, and 1 when anything was found."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run",
        str(schema), "--url", server.url, "--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS,
        "--workers", "1", "--request-timeout", "40", "--max-time", str(seconds), "--seed", str(seed), "--no-color",
        "--continue-on-failure", "-n", str(ROUND_EXAMPLES), "--suppress-health-check", "all", *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds + 600, check=False)
    print(done.stdout[-30_000:] if done.returncode else done.stdout[-1500:], done.stderr[-3000:], flush=True)
    count = re.search(r"([\d,]+) generated", done.stdout)
    return int(count[1].replace(",", "")) if count else 0, int(done.returncode != 0)


def sharpened(schema: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """The schema with ids in paths that mostly exist, and with words that lead somewhere in place of any text."""
    for item in schema["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in ids:
                    first, last = ids[parameter["name"]]
                    parameter["schema"] |= {"minimum": first, "maximum": last}
    for component in TAKEN:
        for name, shape in schema["components"]["schemas"][component]["properties"].items():
            if name in WORDS:
                shape["enum"] = [*WORDS[name], *([None] if "null" in shape["type"] else [])]
    return schema


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, float((sys.argv[2:] or ["2400"])[0])))
