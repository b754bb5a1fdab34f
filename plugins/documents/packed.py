"""Archives as Markdown: each file under a heading of its own.

What cannot be read, or holds nothing worth reading, is left out. An archive may hold hundreds of such files and the
diary ends at a hundred warnings, so what is to be said about them is said once, with a count and the first names.
"""

import io
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plugins.base import PluginError
from plugins.bot_walls import bot_wall
from plugins.documents import archives
from plugins.documents.archives import ZIP_MAGIC, open_zip, read_member
from plugins.documents.pages import Document
from plugins.normalise import counted
from plugins.quality import judge_pages
from plugins.source import Source

MAX_NAME = 200  # characters of a file's name that are shown
_NAMED = 50  # files that a warning names
_IN_MESSAGE = 3
_PACKED = frozenset({"docx", "pptx", "xlsx", "epub", "zip"})


def archive_markdown(source: Source, convert: Callable[[Source], Document]) -> str:
    """The files of an archive that *convert* can read.

    :raises PluginError: ``corrupt``, ``encrypted`` or ``too_large``, and why nothing in it can be read
    """
    if source.depth >= archives.MAX_DEPTH:
        raise PluginError(
            "too_large",
            f"The archive holds archives more than {archives.MAX_DEPTH} levels deep.",
            hint="Unpack it and upload what is inside.",
        )
    parts, diary = [], _Diary()
    with open_zip(source.stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir() and not _is_noise(member.filename)]
        for number, member in enumerate(members, 1):
            name = shown_name(member.filename)
            source.tell(f"Converting {name} ({number} of {len(members)})...")
            try:
                parts.append(f"## File: {name}\n\n{_member(archive, member, source, convert, diary)}")
            except PluginError as error:
                diary.left_out.append((name, error))
    if not parts and diary.left_out:
        raise diary.nothing()
    for message, data in diary.entries(len(members)):
        source.warn(message, data)
    return "\n\n".join(parts)


def shown_name(name: str) -> str:
    """A file's name in one line, without what steers terminals or turns the direction of reading around."""
    kept = ("" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} and not sign.isspace() else sign for sign in name)
    return " ".join("".join(kept).split())[:MAX_NAME] or "?"


def _member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    source: Source,
    convert: Callable[[Source], Document],
    diary: "_Diary",
) -> str:
    name, extension = shown_name(member.filename), Path(member.filename).suffix.lower().lstrip(".")
    stream = io.BytesIO(read_member(archive, member))
    if _is_packed(stream, extension):
        with open_zip(stream) as inner:
            source.budget.spend(inner.infolist())
    warn = diary.of(name)
    document = convert(
        replace(source, stream=stream, extension=extension, name=name, warn=warn, depth=source.depth + 1)
    )
    _judge(document, extension, warn)
    return document.without_pictures().markdown


def _is_packed(stream: io.BytesIO, extension: str) -> bool:
    """Whether the converter will unpack it. Readers of zip find its directory at the end, whatever stands in front."""
    return stream.getvalue().startswith(ZIP_MAGIC) or (extension in _PACKED and zipfile.is_zipfile(stream))


def _judge(document: Document, extension: str, warn: Callable[[str, Any], None]) -> None:
    """The same rules as for a file that comes alone: there the job would fail, here the file is left out.

    :raises PluginError: when there is nothing in it
    """
    for finding in judge_pages(document):
        if finding.fatal:
            raise finding.error()
        warn(finding.message, {"code": finding.code, "hint": finding.hint})
    if extension in {"html", "htm"}:
        text = document.markdown
        if bot_wall(text.lstrip("# ").partition("\n")[0], text):
            raise PluginError(
                "bot_wall",
                "The page asks its reader to prove that they are human; what it protects is not in it.",
                hint="Open the page in a browser, wait until its text is shown, and save it again.",
            )


def _is_noise(name: str) -> bool:
    return name.startswith("__MACOSX/") or Path(name).name in {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass
class _Diary:
    """What is to be said about the files of one archive."""

    left_out: list[tuple[str, PluginError]] = field(default_factory=list)
    warned: dict[str, list[tuple[str, str, Any]]] = field(default_factory=dict)  # by code: name, message, data

    def of(self, name: str) -> Callable[[str, Any], None]:
        """What a converter warns about the file *name* with."""

        def warn(message: str, data: Any = None) -> None:
            code = str(data.get("code") or "") if isinstance(data, dict) else ""
            self.warned.setdefault(code, []).append((name, message, data))

        return warn

    def nothing(self) -> PluginError:
        name, first = self.left_out[0]
        return PluginError(
            first.code,
            f"Nothing in the archive can be read. {name}: {first.message}",
            hint=first.hint,
            context={"left_out": self._codes()},
        )

    def entries(self, files: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Warnings with their data: one about what was left out, one for each kind of those about what was read."""
        if self.left_out:
            yield (
                self._about_left_out(files),
                {
                    "code": "left_out",
                    "hint": "Upload them one by one to see what is wrong with each.",
                    "count": len(self.left_out),
                    "left_out": self._codes(),
                },
            )
        for code, found in self.warned.items():
            name, message, data = found[0]
            if len(found) == 1:
                yield f"{name}: {message}", data if isinstance(data, dict) else {"data": data}
                continue
            more = f"{name}: {message} So it is with {counted(len(found) - 1, 'other file')}."
            hint = {"hint": data["hint"]} if isinstance(data, dict) and "hint" in data else {}
            yield more, {"code": code, **hint, "files": [f"{one}: {said}" for one, said, _ in found[:_NAMED]]}

    def _about_left_out(self, files: int) -> str:
        if len(self.left_out) == 1:
            name, error = self.left_out[0]
            return f"{name} was left out: {error.message}"
        names = ", ".join(f"{name} ({error.code})" for name, error in self.left_out[:_IN_MESSAGE])
        more = ", …" if len(self.left_out) > _IN_MESSAGE else ""
        return f"{len(self.left_out)} of {files} files in the archive were left out: {names}{more}."

    def _codes(self) -> list[str]:
        return [f"{name}: {error.code}" for name, error in self.left_out[:_NAMED]]
