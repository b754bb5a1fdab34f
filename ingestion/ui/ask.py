"""Asking a collection: the passages that answer, why they were found, and where they stand in their source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from collections_app import query
from collections_app.errors import InvalidEmbeddings, SecretUnreadable
from ingestion.ui import access
from ingestion.ui.jobs import is_safe
from ingestion.ui.pages import page
from ingestion.ui.phrases import translated
from plugins.base import PluginError

WAYS = {
    "hybrid_query": gettext_lazy("Meaning and words"),
    "simple_query": gettext_lazy("Meaning only"),
    "parent_child_query": gettext_lazy("Meaning, with the passage around"),
}
COUNTS = (5, 10, 20)
LENGTH = 1000  # of a question
LONG = 480  # characters of a passage, beyond which the rest is folded away
WORD = re.compile(r"\w{3,}")
COMMON = frozenset(
    {"the", "and", "for", "with", "that", "this", "from", "are", "was", "what", "which", "who", "how", "when", "where",
     "does", "can", "una", "uno", "unos", "unas", "los", "las", "del", "que", "por", "para", "con", "como", "cual",
     "cuales", "quien", "donde", "cuando"}
)  # fmt: skip


@dataclass(frozen=True)
class Hit:
    """A passage. *place* says where in the source, *link* leads there.

    :param excerpt: the part of a long one where the question's words are; empty for a short one
    """

    text: SafeString
    excerpt: SafeString | str
    score: float
    name: str
    place: str
    link: str

    @property
    def percent(self) -> int:
        return round(100 * max(0.0, min(1.0, self.score)))


@page
@require_safe
def ask(request: HttpRequest, collection_id: int) -> HttpResponse:
    found = access.collection_for(request.user, collection_id)
    question = request.GET.get("q", "").replace("\0", "").strip()[:LENGTH]
    way = request.GET.get("way", "")
    way = way if way in WAYS else "hybrid_query"
    count = request.GET.get("count", "")
    wanted = int(count) if count in map(str, COUNTS) else COUNTS[0]
    hits: list[Hit] = []
    trouble = ""
    if question:
        try:
            rows = query.answer(found, question, way, {"top_k": wanted, "threshold": -1.0}, {})
            hits = [hit(row, question) for row in rows]
        except PluginError as error:
            trouble = translated(f"{error.message} {error.hint or ''}".strip())
        except (query.UnknownQueryPlugin, query.InvalidQuestion, query.QueryFailed) as error:
            trouble = translated(error)
        except (InvalidEmbeddings, SecretUnreadable) as error:
            trouble = translated(error)
    context = {
        "collection": found,
        "may_change": access.may_change(request.user, found),
        "question": question,
        "way": way,
        "ways": WAYS.items(),
        "count": wanted,
        "counts": COUNTS,
        "hits": hits,
        "trouble": trouble,
    }
    return render(request, "ui/ask.html", context)


def hit(row: Mapping[str, Any], question: str) -> Hit:
    about = row["metadata"]
    text = row["data"]
    return Hit(
        highlighted(text, question),
        highlighted(excerpt(text, question), question) if len(text) > LONG else "",
        float(row["similarity"]),
        str(about.get("title") or about.get("filename") or about.get("source") or _("Added directly")),
        place(about),
        link(about),
    )


def words_of(question: str) -> re.Pattern[str] | None:
    """Finds the question's words; beginnings count, so that plurals do."""
    words = {word.lower() for word in WORD.findall(question)} - COMMON
    stems = sorted({re.escape(word[: max(4, len(word) - 2)]) for word in words}, key=len, reverse=True)
    return re.compile(rf"(?i)\b(?:{'|'.join(stems)})\w*") if stems else None


def excerpt(text: str, question: str) -> str:
    """About ``LONG`` characters of *text*, from a little before the first word of the question."""
    pattern = words_of(question)
    found = pattern.search(text) if pattern else None
    start = max(0, (found.start() if found else 0) - LONG // 4)
    start = text.rfind(" ", 0, start) + 1 if start else 0
    end = text.find(" ", start + LONG)
    cut = text[start : end if end >= 0 else len(text)].strip()
    return f"{'… ' if start else ''}{cut}{' …' if end >= 0 else ''}"


def highlighted(text: str, question: str) -> SafeString:
    """*text* with the question's words marked."""
    pattern = words_of(question)
    if pattern is None:
        return mark_safe(escape(text))  # noqa: S308  (escaped)
    pieces, end = [], 0
    for found in pattern.finditer(text):
        pieces += [escape(text[end : found.start()]), f"<mark>{escape(found[0])}</mark>"]
        end = found.end()
    pieces.append(escape(text[end:]))
    return mark_safe("".join(pieces))  # noqa: S308  (each piece is escaped)


def place(about: Mapping[str, Any]) -> str:
    """Page, section or second, as far as the chunk knows."""
    parts = []
    pages = about.get("page_range") or about.get("page")
    if pages:
        parts.append(_("page %(page)s") % {"page": pages})
    section = about.get("heading_path") or about.get("section_title")
    if section:
        parts.append(" › ".join(map(str, section)) if isinstance(section, list) else str(section))
    start = about.get("start_timestamp") or about.get("start_time")
    if start is not None and start != "":
        parts.append(_("at %(time)s") % {"time": start})
    return " · ".join(parts)


def link(about: Mapping[str, Any]) -> str:
    for name in ("source_url", "file_url", "original_file_url"):
        if is_safe(about.get(name)):
            return str(about[name])
    return ""
