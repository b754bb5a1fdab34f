"""Pictures inside documents: taken out, stored beside the upload, and mentioned where they were.

They are stored as ``<stem>.img001.png``: names of the same shape as everything else that is served from a file's
folder. In the text they are called ``img001.png``, since the stem is 32 digits that say nothing.
"""

import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from posixpath import join, normpath
from typing import Any

from plugins.base import PluginError
from plugins.documents.archives import open_zip, read_member
from plugins.documents.pages import PICTURES, Document, clean_alt, mention
from plugins.documents.pdf_pages import open_pdf
from plugins.source import Source

LEAST_BYTES = 1000
LEAST_SIDE = 32  # pixels; smaller ones are bullets and lines
MOST_PIXELS = 50_000_000
MOST_IMAGES = 500
MOST_BYTES = 200 * 1024**2  # of all together
KINDS = frozenset({"pdf", "docx", "pptx", "xlsx", "epub"})

_MEDIA = {"docx": "word/media/", "pptx": "ppt/media/", "xlsx": "xl/media/", "epub": ""}
_PICTURE_NAMES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".emf", ".wmf", ".svg")
_KEPT_AS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp"}
_MADE_PNG = ("BMP", "TIFF")
_STORED = re.compile(r"\.img\d{3}\.(?:png|jpg|gif|webp)$")


@dataclass
class Picture:
    """A stored picture.

    :param name: as the text calls it
    :param digest: SHA-256 of the bytes as the document held them, 64 hex digits
    :param page: where it is, when that is known
    :param origin: its name inside the document, without folders
    :param description: what a model says about it
    """

    name: str
    path: Path
    digest: str
    page: int | None = None
    origin: str = ""
    description: str = ""


@dataclass(frozen=True)
class _Found:
    data: bytes
    page: int | None = None
    origin: str = ""


class _LeftOut(Exception):
    """Why a picture is not taken: one word for the diary, or nothing when nobody misses it."""


def extract(source: Source, path: Path) -> list[Picture]:
    """Store the pictures of *source* beside *path*, each once however often it is shown.

    :raises PluginError: when the document cannot be opened
    """
    clear(path)
    taken: dict[str, Picture] = {}
    left_out: Counter[str] = Counter()
    total = 0
    for found in _pictures(source, left_out):
        digest = sha256(found.data).hexdigest()
        if digest in taken:
            continue
        if len(taken) >= MOST_IMAGES or total >= MOST_BYTES:
            left_out["too many"] += 1
            break
        try:
            data, ending = _checked(found.data)
        except _LeftOut as reason:
            left_out[str(reason)] += 1
            continue
        name = f"img{len(taken) + 1:03d}.{ending}"
        taken[digest] = Picture(name, _store(path, name, data), digest, found.page, found.origin)
        total += len(data)
    _warn(source, left_out)
    return list(taken.values())


def clear(path: Path) -> None:
    """Remove what an earlier run stored."""
    for old in path.parent.iterdir():
        if old.name.startswith(f"{path.stem}.img") and _STORED.search(old.name) and old != path:
            old.unlink(missing_ok=True)


def _store(path: Path, name: str, data: bytes) -> Path:
    stored = path.with_name(f"{path.stem}.{name}")
    stored.write_bytes(data)
    return stored


def _warn(source: Source, left_out: Counter[str]) -> None:
    left_out.pop("", None)
    if left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        source.warn(f"Some pictures were left out: {reasons}.", dict(left_out))


def _checked(data: bytes) -> tuple[bytes, str]:
    """The picture as it is stored, and the ending of its name.

    :raises _LeftOut:
    """
    from PIL import Image, UnidentifiedImageError

    if len(data) < LEAST_BYTES:
        raise _LeftOut
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=(*_KEPT_AS, *_MADE_PNG))
        _check_size(*image.size)
        if image.format in _KEPT_AS:
            image.verify()
            return data, _KEPT_AS[image.format]
        return _as_png(image), "png"
    except UnidentifiedImageError as error:
        raise _LeftOut("of another kind") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _LeftOut("too large") from error
    except (_LeftOut, MemoryError):
        raise
    except Exception as error:  # its decoders fail on damaged pictures in every way there is
        raise _LeftOut("damaged") from error


def _check_size(width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE:
        raise _LeftOut
    if width * height > MOST_PIXELS:
        raise _LeftOut("too large")


def _as_png(image: Any) -> bytes:
    stream = io.BytesIO()
    image.convert("RGBA" if "A" in image.getbands() else "RGB").save(stream, "PNG")
    return stream.getvalue()


# -- Where they are found ---------------------------------------------------------------------------


def _pictures(source: Source, left_out: Counter[str]) -> Iterator[_Found]:
    if source.extension == "pdf":
        return _of_pdf(source, left_out)
    return _of_archive(source, left_out)


def _of_archive(source: Source, left_out: Counter[str]) -> Iterator[_Found]:
    with open_zip(source.stream) as archive:
        prefix, decoration = _MEDIA[source.extension], _decoration(archive)
        members = [
            member
            for member in archive.infolist()
            if member.filename.startswith(prefix)
            and member.filename.lower().endswith(_PICTURE_NAMES)
            and member.filename not in decoration
        ]
        for number, member in enumerate(members, 1):
            source.tell(f"Extracting pictures: {number} of {len(members)}...")
            try:
                data = read_member(archive, member)
            except PluginError:
                left_out["damaged"] += 1
                continue
            yield _Found(data, origin=PurePosixPath(member.filename).name)


_TARGET = re.compile(rb"""\bTarget\s?=\s?["']([^"']{1,300})["']""")
_LAYOUTS = re.compile(r"ppt/(?:slideLayouts|slideMasters|notesMasters|handoutMasters|theme)/_rels/")


def _decoration(archive: zipfile.ZipFile) -> set[str]:
    """Pictures that only the layouts of a presentation show: the same on every slide, and no part of what it says."""
    shown, decoration = set[str](), set[str]()
    for member in archive.infolist():
        if member.filename.startswith("ppt/") and member.filename.endswith(".rels"):
            folder = PurePosixPath(member.filename).parent.parent
            targets = _TARGET.findall(read_member(archive, member))
            paths = {normpath(join("/", folder, target.decode("utf-8", "replace"))).lstrip("/") for target in targets}
            (decoration if _LAYOUTS.match(member.filename) else shown).update(paths)
    return decoration - shown


def _of_pdf(source: Source, left_out: Counter[str]) -> Iterator[_Found]:
    import pypdfium2

    pdf = open_pdf(source)
    seen: set[bytes] = set()
    try:
        for index in range(len(pdf)):
            source.tell(f"Extracting pictures: page {index + 1} of {len(pdf)}...")
            try:
                page = pdf[index]
            except pypdfium2.PdfiumError:
                continue
            try:
                for shown in page.get_objects(filter=(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3):
                    if found := _of_object(shown, index + 1, seen, left_out):
                        yield found
            finally:
                page.close()
    finally:
        pdf.close()


def _of_object(shown: Any, page: int, seen: set[bytes], left_out: Counter[str]) -> _Found | None:
    """A picture on a PDF's page, unless its like was seen before: decoding takes a while."""
    try:
        raw = bytes(shown.get_data())
        size = shown.get_px_size()
        known = sha256(raw + repr(size).encode()).digest()
        if len(raw) < LEAST_BYTES or known in seen:
            return None
        seen.add(known)
        _check_size(*size)
        filters = list(shown.get_filters(skip_simple=True))
        if filters == ["DCTDecode"]:
            return _Found(bytes(shown.get_data(decode_simple=True)), page)
        return _Found(_as_png(shown.get_bitmap().to_pil()), page)
    except _LeftOut as reason:
        left_out[str(reason)] += 1
    except MemoryError:
        raise
    except Exception:  # pdfium fails on damaged pictures in every way there is
        left_out["damaged"] += 1
    return None


# -- How they are mentioned -------------------------------------------------------------------------

_LINKS = re.compile(r"!\[([^\[\]\n]*)\]\(([^()\s]+)\)")


def placed(document: Document, pictures: list[Picture]) -> Document:
    """The document with each picture mentioned at its place; where that is unknown, at the end of its page.

    A picture that is shown again is mentioned again, but described only once.
    """
    scene = _Scene(pictures)
    changed = document.mapped(lambda page: scene.at_their_places(page.markdown))
    last = len(document.parts)
    rest: dict[int, list[str]] = {}
    for picture in pictures:
        if picture.name not in scene.mentioned:
            page = picture.page if document.paged and picture.page and picture.page <= last else last
            rest.setdefault(page, []).append(mention(clean_alt(picture.description), picture.name))
    return changed.mapped(lambda page: _with_more(page.markdown, rest.get(page.number, [])))


def _with_more(text: str, mentions: list[str]) -> str:
    if not mentions:
        return text
    return "\n\n".join([*([text.rstrip()] if text.strip() else []), *mentions]) + "\n\n"


class _Scene:
    def __init__(self, pictures: list[Picture]) -> None:
        self.mentioned: set[str] = set()
        self._by_digest = {picture.digest[:16]: picture for picture in pictures}
        origins = Counter(picture.origin for picture in pictures)
        self._by_origin = {one.origin: one for one in pictures if one.origin and origins[one.origin] == 1}

    def at_their_places(self, text: str) -> str:
        text = PICTURES.sub(lambda found: self._mention(found[1], self._by_digest.get(found[2])), text)
        return _LINKS.sub(self._linked, text)

    def _linked(self, found: "re.Match[str]") -> str:
        picture = self._by_origin.get(PurePosixPath(found[2]).name)
        return self._mention(found[1], picture) if picture else found[0]

    def _mention(self, alt: str, picture: Picture | None) -> str:
        if picture is None:
            return mention(alt)
        description = "" if picture.name in self.mentioned else clean_alt(picture.description)
        self.mentioned.add(picture.name)
        return mention(" – ".join(text for text in (alt, description) if text), picture.name)
