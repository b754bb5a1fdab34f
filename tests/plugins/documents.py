"""Small real documents, written byte by byte where no library of ours writes them."""

import hashlib
import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def pdf(
    pages: list[str],
    password: str = "",
    pictures: dict[int, bytes] | None = None,
    annotations: dict[int, list[str]] | None = None,
    rotate: int = 0,
) -> bytes:
    """A PDF whose pages hold lines of text, encrypted with 40-bit RC4 when *password* is given.

    :param pictures: JPEGs by the number of the page (from 1) that shows them; the same bytes are stored once
    :param annotations: dictionaries, see :func:`field` and :func:`note`, by the number of the page that shows them
    :param rotate: by how many degrees, clockwise, the pages are shown
    """
    ident = b"0123456789abcdef"
    key, owner, permissions = b"", b"", -4
    if password:
        padded = (password.encode("latin-1") + _PAD)[:32]
        owner = rc4(hashlib.md5(padded).digest()[:5], padded)  # noqa: S324  (what the format demands)
        seed = padded + owner + permissions.to_bytes(4, "little", signed=True) + ident
        key = hashlib.md5(seed).digest()[:5]  # noqa: S324

    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids, fields = [], []
    stored: dict[bytes, int] = {}
    for data in (pictures or {}).values():
        if data not in stored:
            objects.append(_pdf_picture(data))
            stored[data] = len(objects)
    for page, text in enumerate(pages, 1):
        content = _pdf_text(text)
        shown = (pictures or {}).get(page)
        resources = b"/Font << /F1 3 0 R >>"
        if shown is not None:
            resources += b" /XObject << /Im1 %d 0 R >>" % stored[shown]
            content += b" q 200 0 0 200 72 300 cm /Im1 Do Q"
        shown_on = []
        for annotation in (annotations or {}).get(page, []):
            objects.append(b"<< /Type /Annot %s >>" % annotation.encode("latin-1"))
            shown_on.append(b"%d 0 R" % len(objects))
            fields += shown_on[-1:] if "/FT" in annotation else []
        number = len(objects) + 1
        kids.append(b"%d 0 R" % number)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << %s >> /Annots [%s] /Rotate %d >>" % (number + 1, resources, b" ".join(shown_on), rotate)
        )
        if key:
            suffix = (number + 1).to_bytes(3, "little") + b"\0\0"
            content = rc4(hashlib.md5(key + suffix).digest()[:10], content)  # noqa: S324
        objects.append(b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream")
    if fields:
        objects[0] = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] >> >>" % b" ".join(fields)
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), b" ".join(kids))
    trailer = b"/Root 1 0 R /ID [<%s> <%s>]" % (ident.hex().encode(), ident.hex().encode())
    if key:
        user = rc4(key, _PAD)
        objects.append(
            b"<< /Filter /Standard /V 1 /R 2 /P %d /O <%s> /U <%s> >>"
            % (permissions, owner.hex().encode(), user.hex().encode())
        )
        trailer += b" /Encrypt %d 0 R" % len(objects)
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def field(kind: str, name: str, place: tuple[int, int], more: str = "") -> str:
    """A form field of a PDF: ``Tx`` text, ``Btn`` box, ``Ch`` choice; *place* is its lower left corner in points."""
    left, bottom = place
    box = f"/Rect [{left} {bottom} {left + 150} {bottom + 14}]"
    return f"/Subtype /Widget /FT /{kind} /T ({name}) {box} {more}"


def note(kind: str, text: str, place: tuple[int, int], more: str = "") -> str:
    """A comment on a PDF's page: ``Text`` a sticky note, ``FreeText``, ``Highlight``, ..."""
    left, bottom = place
    return f"/Subtype /{kind} /Contents ({text}) /Rect [{left} {bottom} {left + 200} {bottom + 14}] {more}"


def _pdf_text(text: str) -> bytes:
    lines = []
    for number, line in enumerate(text.split("\n") if text else []):
        escaped = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("latin-1")
        lines.append(b"BT /F1 12 Tf 72 %d Td (" % (720 - 16 * number) + escaped + b") Tj ET")
    return b"\n".join(lines)


def _pdf_picture(jpeg: bytes) -> bytes:
    from PIL import Image

    width, height = Image.open(io.BytesIO(jpeg)).size
    head = b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8" % (
        width,
        height,
    )
    return head + b" /Filter /DCTDecode /Length %d >>\nstream\n" % len(jpeg) + jpeg + b"\nendstream"


def image(seed: int = 0, kind: str = "PNG", size: tuple[int, int] = (80, 60)) -> bytes:
    """A picture of noise: it cannot be packed to nothing."""
    from PIL import Image

    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    stream = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(stream, kind)
    return stream.getvalue()


def rc4(key: bytes, data: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(out)


def zipped(members: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # without the time of day, so that the same document is made of the same bytes
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


_DRAWING = (
    '<w:drawing xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"><wp:inline>'
    '<wp:docPr id="1" name="Picture 1" descr="{alt}"/>'
    '<a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData><pic:pic '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:blipFill><a:blip '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:embed="{name}"/>'
    "</pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>"
)
PAGE_END = '</w:t><w:br w:type="page"/><w:t>'  # forced by the author
SHOWN_END = "</w:t><w:lastRenderedPageBreak/><w:t>"  # where Word last ended a page


def raw(body: str) -> tuple[str, str]:
    """A paragraph for :func:`docx` that holds *body*, elements of the body, between two empty ones."""
    return "", f"</w:t></w:r></w:p>{body}<w:p><w:r><w:t>"


def drawing(name: str, alt: str) -> str:
    """A picture inside a paragraph's text; *name* is its key among the pictures."""
    return f"</w:t>{_DRAWING.format(alt=alt, name=name)}<w:t>"


def docx(
    paragraphs: list[tuple[str, str]],
    head: str = "",
    pictures: dict[str, bytes] | None = None,
    notes: Sequence[str] = (),
    parts: dict[str, str] | None = None,
) -> bytes:
    """A Word document; each paragraph is ``(style, text)``, style ``Heading1`` to ``Heading6`` or empty.

    :param pictures: by the name that :func:`drawing` has for them
    :param notes: footnotes; the text refers to them by ``{note0}`` and so on
    :param parts: further files of the archive, such as ``word/header1.xml``
    """
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    for number in range(len(notes)):
        body = body.replace(f"{{note{number}}}", f'</w:t><w:footnoteReference w:id="{number + 1}"/><w:t>')
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>'
        for n in range(1, 7)
    )
    media = "".join(
        f'<Relationship Id="{name}" Type="{office}/image" Target="media/{name}.png"/>' for name in pictures or {}
    )
    footnotes = "".join(
        f'<w:footnote w:id="{n}"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:footnote>'
        for n, text in enumerate(notes, 1)
    )
    members = {
        "[Content_Types].xml": f'{declaration}<Types xmlns="{types}">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="png" ContentType="image/png"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}.document.main+xml"/>'
        f'<Override PartName="/word/footnotes.xml" ContentType="{main}.footnotes+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{main}.styles+xml"/></Types>',
        "_rels/.rels": f'{declaration}<Relationships xmlns="{relations}"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'{declaration}<Relationships xmlns="{relations}"><Relationship Id="rId1" '
        f'Type="{office}/styles" Target="styles.xml"/><Relationship Id="rId2" Type="{office}/footnotes" '
        f'Target="footnotes.xml"/>{media}</Relationships>',
        "word/styles.xml": f'{declaration}<w:styles xmlns:w="{_WORD}">{styles}</w:styles>',
        "word/footnotes.xml": f'{declaration}<w:footnotes xmlns:w="{_WORD}">{footnotes}</w:footnotes>',
        "word/document.xml": f'{declaration}{head}<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>',
    }
    members |= parts or {}
    return zipped(members | {f"word/media/{name}.png": data for name, data in (pictures or {}).items()})


def xlsx(rows: list[list[object]], title: str = "Data") -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def pptx(slides: list[tuple[str, str]], pictures: dict[int, bytes] | None = None, notes: str = "") -> bytes:
    """A presentation of slides with title and text.

    :param pictures: by the number of the slide (from 1) that shows them
    :param notes: of the last slide
    """
    from pptx import Presentation

    show = Presentation()
    for number, (title, text) in enumerate(slides, 1):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        if number in (pictures or {}):
            slide.shapes.add_picture(io.BytesIO(pictures[number]), 0, 5_000_000)
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def epub(chapters: list[str]) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    pages = {
        f"OEBPS/c{n}.xhtml": f"<html><body><h1>Chapter {n}</h1><p>{t}</p></body></html>" for n, t in enumerate(chapters)
    }
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
            "OEBPS/content.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Small book</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **pages,
        }
    )


def ole(stream: str, folder: str = "") -> bytes:
    """An OLE container (format of Office 2003) that holds one stream of that name, of 4096 zeros.

    :param folder: name of an empty folder beside the stream; it must be longer than the stream's
    """
    sector, end, free, fat_mark, none = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF

    def entry(name: str, kind: int, child: int, start: int, size: int, after: int = none) -> bytes:
        wide = name.encode("utf-16-le") + b"\0\0" if name else b""
        return (
            wide.ljust(64, b"\0") + len(wide).to_bytes(2, "little") + bytes([kind, 1])
            + none.to_bytes(4, "little") + after.to_bytes(4, "little")
            + child.to_bytes(4, "little") + bytes(16 + 4 + 8 + 8)
            + start.to_bytes(4, "little") + size.to_bytes(8, "little")
        )  # fmt: skip

    fat = [fat_mark, end, *range(3, 10), end]
    fat += [free] * (128 - len(fat))
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16)
    header += b"".join(n.to_bytes(2, "little") for n in (0x3E, 3, 0xFFFE, 9, 6)) + bytes(6)
    header += b"".join(n.to_bytes(4, "little") for n in (0, 1, 1, 0, 4096, end, 0, end, 0))
    header += (0).to_bytes(4, "little") + free.to_bytes(4, "little") * 108
    directory = entry("Root Entry", 5, 1, end, 0) + entry(stream, 2, none, 2, 4096, 2 if folder else none)
    directory += entry(folder, 1 if folder else 0, none, 0, 0) + entry("", 0, none, 0, 0)
    return header + b"".join(n.to_bytes(4, "little") for n in fat) + directory.ljust(sector, b"\0") + bytes(4096)


def save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
