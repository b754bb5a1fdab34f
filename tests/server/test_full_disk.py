"""A disk that is really full: a small file system of its own, filled while the server works on it."""

import os
import subprocess
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
MEGABYTE = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 48 MB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system ({mounted.stderr.strip()})")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Take all the space that is left; returns the file that took it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    assert os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize < 4096
    return ballast


def test_jobs_wait_while_the_disk_is_full_and_go_on_when_there_is_space(make_server, small_disk):
    server = make_server(KB_MIN_FREE_MB=2, KB_LEASE_SECONDS=3, KB_HEARTBEAT_SECONDS=1, KB_MAX_LOST_LEASES=50)
    server.folder = small_disk
    server.environment["KB_DATA_DIR"] = str(small_disk / "data")
    server.log = small_disk.parent / "server.log"
    server.start()
    collection = server.create_collection("full")
    text = "\n\n".join(f"crane-{n} " + "calls " * 60 for n in range(3000)).encode()
    running = server.upload(collection, "running.txt", text, "slow_ingest", {"seconds": 2})
    server.wait(collection, running, lambda state: state["status"] == "processing")
    ballast = fill(small_disk)

    status, answer = server.call("GET", f"/collections/{collection}/ingestion-jobs/{running}")
    assert status == 200
    assert answer["status"] in {"processing", "pending"}
    with pytest.raises(RuntimeError, match="disk is almost full"):
        server.upload(collection, "refused.txt", b"nothing fits")
    time.sleep(6)  # the conversion ends, and what it made does not fit
    assert server.job(collection, running)["status"] in {"processing", "pending"}

    ballast.unlink()
    state = server.wait(collection, running, limit=90)
    assert (state["status"], state["document_count"]) == ("completed", 3000)
    after = server.upload(collection, "after.txt", b"There is space again.")
    assert server.wait(collection, after)["status"] == "completed"
    server.end()
