"""The bell over Redis instead of the database."""

import shutil
import socket
import subprocess
import time

import pytest

from bench.server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def redis_url(tmp_path):
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs redis-server (Debian: apt install redis-server)")
    port = free_port()
    running = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    running.kill()
    running.wait()


def test_jobs_are_rung_for_through_redis_and_survive_a_killed_pool(make_server, redis_url):
    from bench.chaos import roles

    server = make_server(REDIS_URL=redis_url)
    server.start()
    collection = server.create_collection("redis")
    first = server.upload(collection, "first.txt", b"one")
    assert server.wait(collection, first)["status"] == "completed"
    slow = server.upload(collection, "slow.txt", b"two", "slow_ingest", {"seconds": 3})
    server.wait(collection, slow, lambda state: state["status"] == "processing")
    for victim in roles(server)["sentinel"]:
        victim.kill()
    state = server.wait(collection, slow)
    assert (state["status"], state["document_count"]) == ("completed", 1)
