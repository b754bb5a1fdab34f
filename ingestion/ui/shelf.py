"""The first page: collections as cards, and what is done with them as a whole."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Case, Count, OuterRef, Q, Subquery, Sum, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from collections_app import services as collections
from collections_app.errors import InvalidEmbeddings, InvalidName, NameTaken, SecretUnreadable
from collections_app.models import Collection, Document, Visibility
from ingestion import reads, services
from ingestion.models import FileRegistry, FileStatus, JobCount
from ingestion.ui import access, figures
from ingestion.ui.listing import page_number
from ingestion.ui.pages import page
from ingestion.ui.phrases import translated
from ingestion.ui.words import amount

CARDS = 48


@dataclass(frozen=True)
class Card:
    collection: Collection
    counts: dict[str, int]
    chunks: int
    active_at: datetime | None
    mine: bool

    @property
    def sources(self) -> int:
        return sum(number for status, number in self.counts.items() if status != FileStatus.DELETED)

    @property
    def live(self) -> int:
        return self.counts[FileStatus.PENDING] + self.counts[FileStatus.PROCESSING]


@page
@require_safe
def shelf(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    owner = request.GET.get("owner", "").replace("\0", "").strip()[:255]
    found = access.visible(request.user)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(description__icontains=text))
    if owner and access.is_staff(request.user):
        found = found.filter(owner=owner)
    total = found.count()
    pages = max(1, -(-total // CARDS))
    number = min(pages, page_number(request.GET.get("page", "")))
    own_first = Case(When(owner=request.user.get_username(), then=0), default=1)
    rows = list(found.order_by(own_first, "-pk")[(number - 1) * CARDS : number * CARDS])
    context = {
        "cards": cards(request, rows),
        "total": total,
        "q": text,
        "owner": owner,
        "owners": owners() if access.is_staff(request.user) else [],
        "page": number,
        "pages": pages,
    }
    return render(request, "ui/shelf.html", context)


def cards(request: HttpRequest, rows: list[Collection]) -> list[Card]:
    """Three queries, however many collections there are."""
    numbers = [collection.pk for collection in rows]
    counts: dict[int, dict[str, int]] = {number: dict.fromkeys(FileStatus.values, 0) for number in numbers}
    for number, status, jobs in JobCount.objects.filter(collection_id__in=numbers).values_list(
        "collection_id", "status", "jobs"
    ):
        counts[number][status] = jobs
    published = Document.objects.published().filter(collection_id__in=numbers).order_by()
    chunks: dict[int, int] = dict(published.values_list("collection_id").annotate(findable=Sum("chunk_count")))
    latest = FileRegistry.objects.filter(collection_id=OuterRef("pk")).order_by("-created_at").values("updated_at")[:1]
    active = dict(Collection.objects.filter(pk__in=numbers).values_list("pk", Subquery(latest)))
    return [
        Card(
            collection,
            counts[collection.pk],
            chunks.get(collection.pk, 0),
            active.get(collection.pk),
            collection.owner == request.user.get_username(),
        )
        for collection in rows
    ]


def owners() -> list[str]:
    """Those of live collections, for staff to choose from."""
    rows = Collection.objects.live().order_by().values_list("owner").annotate(n=Count("pk")).order_by("-n")[:200]
    return sorted(owner for owner, _number in rows)


# -- Create, rename, delete -------------------------------------------------------------------------


class CollectionForm(forms.Form):
    """*for_owner*: only staff choose it."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=255)
    description = forms.CharField(
        label=gettext_lazy("Description"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who can look at it"),
        choices=[
            (Visibility.PRIVATE, gettext_lazy("Only its owner")),
            (Visibility.PUBLIC, gettext_lazy("Everybody who can log in")),
        ],
        initial=Visibility.PRIVATE,
        widget=forms.RadioSelect,
    )
    for_owner = forms.CharField(
        label=gettext_lazy("Owner"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("The user name of the person it is for. Empty: yourself."),
    )

    def __init__(self, request: HttpRequest, *args: Any, changing: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        if changing or not access.is_staff(request.user):
            del self.fields["for_owner"]


@page
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    form = CollectionForm(request, request.POST or None, initial={"for_owner": request.GET.get("owner", "")})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        owner = given.get("for_owner") or request.user.get_username()
        try:
            made = collections.create_collection(
                given["name"], owner, given["description"] or None, given["visibility"]
            )
        except (NameTaken, InvalidName) as error:
            form.add_error("name", translated(error))
        except (InvalidEmbeddings, SecretUnreadable) as error:
            form.add_error(None, translated(error))
        else:
            messages.success(request, _("“%(name)s” is ready. Add the first sources.") % {"name": made.name})
            return redirect("ui:add", made.pk)
    return render(request, "ui/collection_form.html", {"form": form, "creating": True})


@page
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, collection_id: int) -> HttpResponse:
    collection = access.own_collection(request.user, collection_id)
    initial = {
        "name": collection.name,
        "description": collection.description or "",
        "visibility": collection.visibility,
    }
    form = CollectionForm(request, request.POST or None, initial=initial, changing=True)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            collections.update_collection(
                collection,
                name=given["name"],
                description=given["description"] or None,
                visibility=given["visibility"],
            )
        except (NameTaken, InvalidName) as error:
            form.add_error("name", translated(error))
        else:
            messages.success(request, _("The changes are kept."))
            return redirect("ui:collection", collection.pk)
    return render(request, "ui/collection_form.html", {"form": form, "collection": collection})


@page
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, collection_id: int) -> HttpResponse:
    """Asks first, and names what goes with it."""
    collection = access.own_collection(request.user, collection_id)
    if request.method == "POST":
        gone = services.delete_collection(collection, by=request.user.get_username())
        said = _("“%(name)s” is deleted, with %(chunks)s chunks.")
        messages.success(request, said % {"name": collection.name, "chunks": amount(gone.chunks)})
        return redirect("ui:shelf")
    counts = reads.counts(collection.pk)
    by_status = counts.by_status if counts else dict.fromkeys(FileStatus.values, 0)
    context = {
        "collection": collection,
        "sources": sum(number for status, number in by_status.items() if status != FileStatus.DELETED),
        "live": by_status[FileStatus.PENDING] + by_status[FileStatus.PROCESSING],
        "chunks": figures.chunks_in(collection),
    }
    return render(request, "ui/delete_collection.html", context)
