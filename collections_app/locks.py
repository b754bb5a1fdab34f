"""A lock on a file, held by a process and let go by the kernel when it dies."""

import fcntl
import os
from pathlib import Path
from typing import IO


class HeldElsewhere(Exception):
    """Another process holds the lock."""


def hold(path: Path, *, wait: bool = False) -> IO[str]:
    """Take the lock; it is held while the returned file is open. Children do not inherit it.

    :raises HeldElsewhere: when somebody else has it and *wait* is false
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        file.close()
        raise HeldElsewhere(str(path)) from error
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
