"""Jobs of all collections over HTTP: find them, see why they failed, retry or cancel many at once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.template.loader import render_to_string
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import Serializer

from collections_app.endpoint import checked
from collections_app.http import actor
from collections_app.http_errors import Invalid, invalid
from ingestion import bulk, failures, reads
from ingestion.api.base import IngestionEndpoint
from ingestion.bulk import Outcome
from ingestion.filters import InvalidCursor, InvalidFilter, JobsFilter, Order, chosen, refuse_blanks
from ingestion.models import FileRegistry, JobQuerySet
from ingestion.serializers import AllJobsWantedSerializer, ManyJobsSerializer, RetryManySerializer
from ingestion.wire import without_masks


class Listing(BasePagination):
    """What the page in the browser needs to know: that this is a list, so that it shows filters, and its next page."""

    display_page_controls = False
    next_url: str | None = None

    def get_results(self, data: Mapping[str, Any]) -> Any:
        return data["items"] if "items" in data else data["groups"]

    def to_html(self) -> str:
        template = "rest_framework/pagination/previous_and_next.html"
        return render_to_string(template, {"previous_url": None, "next_url": self.next_url})


class AllJobsViewSet(IngestionEndpoint):
    """The jobs of all collections."""

    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {
        "retry": RetryManySerializer,
        "cancel": ManyJobsSerializer,
    }
    pagination_class = Listing
    filter_backends = (DjangoFilterBackend,)
    filterset_class = JobsFilter  # the form of the page

    def get_queryset(self) -> QuerySet[FileRegistry]:
        return FileRegistry.objects.none()

    def list(self, request: Request) -> Response:
        """Jobs that meet all filters, newest first unless ordered otherwise; ``next`` is where the next page is."""
        given = request.query_params.dict()
        names = AllJobsWantedSerializer._declared_fields
        wanted = checked(AllJobsWantedSerializer, {name: given.pop(name) for name in names if name in given}, "query")
        with filter_errors("query"):
            jobs = chosen(given)
        order = Order(wanted["ordering"])
        try:
            page = reads.jobs_after(jobs, order, wanted["cursor"], wanted["limit"])
        except InvalidCursor as error:
            message = "This cursor belongs to no page of this order. Begin again without it."
            raise invalid("query", "cursor", "value_error", message, wanted["cursor"]) from error
        following = next_page(request, page.next_cursor)
        if isinstance(self.paginator, Listing):
            self.paginator.next_url, self.paginator.display_page_controls = following, bool(following)
        return Response(
            {
                "items": page.items,
                "limit": wanted["limit"],
                "total": jobs.count() if wanted["count"] else None,
                "next_cursor": page.next_cursor,
                "next": following,
            }
        )

    def retrieve(self, request: Request, job_id: int) -> Response:
        """One job, for those who do not know its collection."""
        collection = FileRegistry.objects.filter(pk=job_id).values_list("collection_id", flat=True).first()
        job = None if collection is None else reads.job(collection, job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}." if job_id >= 0 else "There is no such job.")
        return Response(job)

    def failures(self, request: Request) -> Response:
        """Failed jobs in groups of the same reason, the largest first, each with an example and what helps."""
        with filter_errors("query"):
            groups = failures.groups(request.query_params.dict())
        return Response({"total": len(groups), "groups": [failures.as_object(group) for group in groups]})

    def retry(self, request: Request) -> Response:
        """Queue failed jobs again: those named in ``ids``, or all that meet ``filter``. Each has a result."""
        body = checked(RetryManySerializer, request.data)
        overrides = without_masks(body["override_params"] or {})
        how = {"by": actor(request), "limit": body["limit"], "dry_run": body["dry_run"]}
        return act(body, JobQuerySet.failed, lambda jobs: bulk.retry(jobs, overrides, **how))

    def cancel(self, request: Request) -> Response:
        """Stop jobs that wait or run: those named in ``ids``, or all that meet ``filter``. Each has a result."""
        body = checked(ManyJobsSerializer, request.data)
        how = {"by": actor(request), "limit": body["limit"], "dry_run": body["dry_run"]}
        return act(body, JobQuerySet.live, lambda jobs: bulk.cancel(jobs, **how))

    def get_extra_action_url_map(self) -> dict[str, str]:
        """Links from the list to what can be done with it."""
        named = {"Jobs": "all-jobs", "Failures": "failures", "Retry many": "retry-many", "Cancel many": "cancel-many"}
        return {title: reverse(name, request=self.request) for title, name in named.items()}


def next_page(request: Request, cursor: str | None) -> str | None:
    """Root-relative, as the server may be reached by many names."""
    return f"{request.path}?{urlencode({**request.query_params.dict(), 'cursor': cursor})}" if cursor else None


@contextmanager
def filter_errors(*where: str) -> Iterator[None]:
    """:raises Invalid: naming the filters that are none, and the values that they do not take"""
    try:
        yield
    except InvalidFilter as error:
        raise Invalid(
            [
                {"type": "value_error", "loc": [*where, name], "msg": message, "input": None}
                for name, message in error.errors.items()
            ]
        ) from error


# -- Many at once -----------------------------------------------------------------------------------


def act(
    body: Mapping[str, Any],
    eligible: Callable[[JobQuerySet], JobQuerySet],
    verb: Callable[[JobQuerySet], Iterator[Outcome]],
) -> Response:
    """Do *verb* to the jobs that *body* chooses, and answer with a result a job.

    Jobs that a filter chooses are met only where *eligible*; jobs named by their ids are told why they are not.
    """
    ids = body["ids"]
    if ids is not None:
        jobs = FileRegistry.objects.filter(pk__in=ids).of_live_collections()
    else:
        with filter_errors("body", "filter"):
            refuse_blanks(body["filter"])
            jobs = eligible(chosen(body["filter"])).filter(pk__gt=body["after"])
    outcomes = list(verb(jobs))
    items = [outcome_object(outcome) for outcome in outcomes]
    items += [missing(pk) for pk in sorted(set(ids or ()) - {outcome.job_id for outcome in outcomes})]
    done = sum(outcome.done for outcome in outcomes)
    return Response(
        {
            "dry_run": body["dry_run"],
            "done": done,
            "refused": len(items) - done,
            "items": items,
            "has_more": ids is None and len(outcomes) == body["limit"],
            "after": outcomes[-1].job_id if outcomes else body["after"],
        }
    )


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    return {
        "job_id": outcome.job_id,
        "collection_id": outcome.job.collection_id,
        "done": outcome.done,
        "status": outcome.status,
        "detail": outcome.detail or None,
    }


def missing(job_id: int) -> dict[str, Any]:
    return {"job_id": job_id, "collection_id": None, "done": False, "status": None, "detail": "There is no such job."}
