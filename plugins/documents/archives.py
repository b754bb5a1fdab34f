"""Looking into zip-based files before anything unpacks them: bombs, passwords, damage."""

import re
import zipfile
from typing import BinaryIO

from plugins.base import PluginError

MAX_MEMBERS = 10_000
MAX_UNPACKED = 512 * 1024**2
MAX_MEMBER = 256 * 1024**2
# Office XML of real documents packs up to about 60:1; a bomb of zeros packs 1000:1.
MAX_RATIO = 200
RATIO_MATTERS = 8 * 1024**2
MAX_DEPTH = 3

ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Budget:
    """What archives within archives may hold together: each alone keeps within its bounds, thousands of them do not."""

    def __init__(self) -> None:
        self.bytes = MAX_UNPACKED
        self.members = MAX_MEMBERS

    def spend(self, members: list[zipfile.ZipInfo]) -> None:
        """:raises PluginError: ``too_large``"""
        self.bytes -= sum(member.file_size for member in members)
        self.members -= len(members)
        if self.bytes < 0 or self.members < 0:
            raise PluginError(
                "too_large",
                "Unpacked, the archives inside of this one would be too large.",
                hint="Unpack it and upload what is inside.",
            )


def open_zip(stream: BinaryIO, what: str = "archive") -> zipfile.ZipFile:
    """Open a zip whose members may all be unpacked safely.

    :param what: for messages: ``archive``, ``Word document``, …
    :raises PluginError: ``corrupt``, ``encrypted``, ``too_large``
    """
    try:
        archive = zipfile.ZipFile(stream)
        members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise corrupt(what) from error
    _check_bounds(members, what)
    if any(member.flag_bits & 0x1 for member in members):
        raise encrypted(what)
    return archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str = "archive") -> bytes:
    """The bytes of one member; its declared size, already bounded, is the most that is unpacked."""
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise corrupt(what) from error


def count_parts(stream: BinaryIO, pattern: str) -> int:
    """How many members of a zip that was already checked have a name that matches *pattern* as a whole."""
    stream.seek(0)
    names = open_zip(stream).namelist()
    stream.seek(0)
    return sum(re.fullmatch(pattern, name) is not None for name in names)


def _check_bounds(members: list[zipfile.ZipInfo], what: str) -> None:
    total = sum(member.file_size for member in members)
    worst = max((m.file_size / max(m.compress_size, 1) for m in members if m.file_size > RATIO_MATTERS), default=0)
    greatest = max((member.file_size for member in members), default=0)
    packed = sum(member.compress_size for member in members)
    too_dense = worst > MAX_RATIO or (total > RATIO_MATTERS and total / max(packed, 1) > MAX_RATIO)
    if len(members) > MAX_MEMBERS or total > MAX_UNPACKED or greatest > MAX_MEMBER or too_dense:
        raise PluginError(
            "too_large",
            f"Unpacked, the {what} would be too large ({len(members)} parts, {total // 1024**2} MB).",
            hint="Upload its parts one by one.",
            context={"members": len(members), "unpacked_bytes": total, "packed_bytes": packed},
        )


def corrupt(what: str) -> PluginError:
    return PluginError(
        "corrupt",
        f"The {what} is damaged or is not what its name says.",
        hint="Open it on your computer, save it again and upload the new copy.",
    )


def encrypted(what: str) -> PluginError:
    return PluginError(
        "encrypted",
        f"The {what} is protected with a password.",
        hint="Remove the password and upload it again.",
    )
