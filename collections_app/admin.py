"""Collections, documents and chunks for operators: to look at. Whoever wants to change them uses the API."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from collections_app.embeddings.endpoints import shown
from collections_app.models import Chunk, ChunkVector, Collection, Document
from collections_app.numbers import whole_number

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    ModelAdmin, AnyPaginator = admin.ModelAdmin, Paginator

admin.site.site_header = "KB Server"
admin.site.site_title = "KB Server"
admin.site.index_title = "Operations"
admin.site.site_url = None  # "/" leads people here
admin.site.enable_nav_sidebar = False  # lists of jobs need the width

NOTHING = "–"
COUNTED = 10_000  # rows of a list that are counted; nobody turns the pages behind them
PRETTY_LENGTH = 20_000
LONGEST_SEARCH = 300  # characters; no name is longer, and each word of a search makes the query deeper
FIRST_CHUNKS = 5
CHUNK_LENGTH = 2_000
BEGINNING = 160  # characters of a chunk in a list


# -- What the admin pages share ---------------------------------------------------------------------


class BoundedPaginator(AnyPaginator):
    """Counts no further than ``COUNTED``: counting a million rows for each page takes longer than the page."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:COUNTED].count()


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the engine writes. Seeing them takes the view permission."""

    paginator = BoundedPaginator
    change_form_template = "admin/read_only_form.html"
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    sortable_by: ClassVar[tuple[str, ...]] = ()  # any other order would sort the whole table
    ordering = ("-id",)
    empty_value_display = NOTHING
    show_facets = admin.ShowFacets.NEVER  # their counts read the whole table

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if len(search_term) > LONGEST_SEARCH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page_link(page: str, pk: Any, text: Any) -> SafeString:
    """A link to the admin page of a row; *page* is ``{app}_{model}``."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}_change", args=[pk]), text)


def list_link(page: str, query: str, text: str) -> SafeString:
    """A link to a filtered admin list; *query* is made of names and numbers only."""
    return format_html('<a href="{}?{}">{}</a>', reverse(f"admin:{page}_changelist"), query, text)


def moment(at: datetime | None) -> str:
    """To the second, as it stands in logs."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}" if at else NOTHING


def badge(text: str, colour: str | None = None) -> SafeString:
    """A coloured word; *colour* names a class of the style sheet."""
    return format_html('<span class="kb-badge kb-{}">{}</span>', colour or text, text)


def pretty(value: Any) -> SafeString | str:
    """JSON as people read it."""
    if value in (None, {}, []):
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    cut = f"{text[:PRETTY_LENGTH]}\n… ({len(text):,} characters)" if len(text) > PRETTY_LENGTH else text
    return format_html('<pre class="kb-pre">{}</pre>', cut)


# -- Collections ------------------------------------------------------------------------------------


@admin.register(Collection)
class CollectionAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "owner", "visibility", "state", "embedding_vendor", "embedding_model", "dimension")
    list_display_links = ("id", "name")
    list_filter = ("visibility", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "owner")
    # Fields are named one by one: the vendor's key, although encrypted, is nobody's to see.
    fieldsets = (
        (None, {"fields": ("name", "description", "owner", "visibility", "state", "created", "deleted")}),
        (
            "Embeddings",
            {"fields": ("embedding_vendor", "embedding_model", "endpoint", "dimension", "own_key")},
        ),
        ("Contents", {"fields": ("published_documents", "contents")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        return super().get_queryset(request).defer("embedding_api_key")

    @admin.display(description="state")
    def state(self, collection: Collection) -> SafeString:
        return badge("deleted") if collection.deleted_at else badge("live")

    @admin.display(description="created")
    def created(self, collection: Collection) -> str:
        return moment(collection.creation_date)

    @admin.display(description="deleted")
    def deleted(self, collection: Collection) -> str:
        return moment(collection.deleted_at)

    @admin.display(description="dimension")
    def dimension(self, collection: Collection) -> int | str:
        return collection.embedding_dimension or "not pinned yet"

    @admin.display(description="endpoint")
    def endpoint(self, collection: Collection) -> str:
        try:
            return shown(collection.embedding_endpoint) or "the vendor's own"
        except ValueError:  # an imported one that is no address; it may hold a password all the same
            return "not a valid address"

    @admin.display(description="API key of its own")
    def own_key(self, collection: Collection) -> str:
        has_one = Collection.objects.filter(pk=collection.pk).exclude(embedding_api_key="").exists()
        return "set, encrypted" if has_one else "none"

    @admin.display(description="published documents")
    def published_documents(self, collection: Collection) -> int:
        return Document.objects.published().filter(collection=collection).count()

    @admin.display(description="see also")
    def contents(self, collection: Collection) -> SafeString:
        # The jobs' list is named by its address: this floor imports nothing of the one above.
        return format_html(
            "{} · {}",
            list_link("ingestion_fileregistry", f"collection={collection.pk}", "Its jobs"),
            list_link("collections_app_document", f"collection__id__exact={collection.pk}", "Its documents"),
        )


# -- Documents --------------------------------------------------------------------------------------


class PublishedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("published", "published"), ("unfinished", "unfinished"), ("withdrawn", "withdrawn")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> QuerySet[Document]:
        state = self.value()
        if state not in {"published", "unfinished", "withdrawn"}:
            return queryset
        documents: QuerySet[Document] = getattr(queryset, state)()  # the words of DocumentQuerySet
        return documents


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin):
    list_display = ("id", "collection_name", "file", "state", "chunk_count", "created", "published")
    list_filter = (PublishedFilter,)
    list_select_related = ("collection",)
    search_fields = ("=file_id",)
    search_help_text = "The number of a job"
    fieldsets = (
        (None, {"fields": ("collection_name", "file", "state", "run_id", "chunk_count")}),
        ("Times", {"fields": ("created", "published", "withdrawn")}),
        ("First chunks", {"fields": ("first_chunks",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).defer("collection__embedding_api_key")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Document], search_term: str
    ) -> tuple[QuerySet[Document], bool]:
        """By the job's number, exactly: an index answers that."""
        if not search_term.strip():
            return queryset, False
        number = whole_number(search_term)
        return (queryset.filter(file_id=number) if number else queryset.none()), False

    @admin.display(description="collection")
    def collection_name(self, document: Document) -> SafeString:
        return page_link("collections_app_collection", document.collection_id, document.collection.name)

    @admin.display(description="file")
    def file(self, document: Document) -> SafeString | str:
        if document.file_id is None:
            return "added directly"
        return page_link("ingestion_fileregistry", document.file_id, f"job {document.file_id}")

    @admin.display(description="state")
    def state(self, document: Document) -> SafeString:
        if document.withdrawn_at:
            return badge("withdrawn")
        return badge("published") if document.published_at else badge("unfinished")

    @admin.display(description="created")
    def created(self, document: Document) -> str:
        return moment(document.created_at)

    @admin.display(description="published")
    def published(self, document: Document) -> str:
        return moment(document.published_at)

    @admin.display(description="withdrawn")
    def withdrawn(self, document: Document) -> str:
        return moment(document.withdrawn_at)

    @admin.display(description="chunks")
    def first_chunks(self, document: Document) -> SafeString:
        chunks = document.chunks.order_by("position")[:FIRST_CHUNKS]
        passages = format_html_join(
            "",
            '<li value="{}"><pre class="kb-pre">{}</pre><details><summary>Metadata</summary>{}</details></li>',
            ((chunk.position + 1, chunk.text[:CHUNK_LENGTH], pretty(chunk.metadata)) for chunk in chunks),
        )
        return format_html(
            '<p>The first {} of {}. {}</p><ol class="kb-chunks">{}</ol>',
            min(FIRST_CHUNKS, document.chunk_count),
            document.chunk_count,
            list_link("collections_app_chunk", f"document={document.pk}", "All of them"),
            passages,
        )


# -- Chunks -----------------------------------------------------------------------------------------


class DocumentFilter(admin.SimpleListFilter):
    """Set by links; there is no list of documents to choose from."""

    title = "document"
    parameter_name = "document"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.value() or "", f"number {self.value()}")] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Chunk]) -> QuerySet[Chunk]:
        if self.value() is None:
            return queryset
        number = whole_number(self.value() or "")
        return queryset.filter(document_id=number) if number else queryset.none()


@admin.register(Chunk)
class ChunkAdmin(ReadOnlyAdmin):
    list_display = ("id", "place", "beginning", "characters", "document_link", "collection_name")
    list_filter = (DocumentFilter,)
    list_select_related = ("document__collection",)
    search_fields = ("=id",)
    search_help_text = "The number of a chunk; within a document, its place there"
    fieldsets = (
        (None, {"fields": ("place", "document_link", "collection_name", "neighbours")}),
        ("Text", {"fields": ("characters", "whole_text"), "classes": ("kb-wide",)}),
        ("Metadata", {"fields": ("all_metadata", "vector_size"), "classes": ("kb-wide",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Chunk]:
        return super().get_queryset(request).defer("document__collection__embedding_api_key")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """As it is read within a document, which an index holds; otherwise the newest first."""
        return ("position",) if request.GET.get("document") else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Chunk], search_term: str
    ) -> tuple[QuerySet[Chunk], bool]:
        if not search_term.strip():
            return queryset, False
        number = whole_number(search_term)
        if not number:
            return queryset.none(), False
        within = request.GET.get("document")
        return (queryset.filter(position=number - 1) if within else queryset.filter(pk=number)), False

    @admin.display(description="place")
    def place(self, chunk: Chunk) -> str:
        return f"{chunk.position + 1:,} of {chunk.document.chunk_count:,}"

    @admin.display(description="text")
    def beginning(self, chunk: Chunk) -> str:
        return f"{chunk.text[:BEGINNING]} …" if len(chunk.text) > BEGINNING else chunk.text

    @admin.display(description="characters")
    def characters(self, chunk: Chunk) -> str:
        return f"{len(chunk.text):,}"

    @admin.display(description="document")
    def document_link(self, chunk: Chunk) -> SafeString:
        return page_link("collections_app_document", chunk.document_id, chunk.document_id)

    @admin.display(description="collection")
    def collection_name(self, chunk: Chunk) -> SafeString:
        collection = chunk.document.collection
        return page_link("collections_app_collection", collection.pk, collection.name)

    @admin.display(description="beside it")
    def neighbours(self, chunk: Chunk) -> SafeString | str:
        around = (chunk.position - 1, chunk.position + 1)
        beside = Chunk.objects.filter(document=chunk.document_id, position__in=around)
        found = dict(beside.values_list("position", "pk"))
        names = zip(around, ("← the one before", "the next one →"), strict=True)
        links = [(page_link("collections_app_chunk", found[place], name),) for place, name in names if place in found]
        return format_html_join(" · ", "{}", links) if links else NOTHING

    @admin.display(description="text")
    def whole_text(self, chunk: Chunk) -> SafeString:
        return format_html('<pre class="kb-pre">{}</pre>', chunk.text)

    @admin.display(description="metadata")
    def all_metadata(self, chunk: Chunk) -> SafeString | str:
        return pretty(chunk.metadata)

    @admin.display(description="vector")
    def vector_size(self, chunk: Chunk) -> str:
        vector = ChunkVector.objects.filter(pk=chunk.pk).values_list("vector", flat=True).first()
        return f"{len(vector) // 4:,} numbers" if vector else "none"
