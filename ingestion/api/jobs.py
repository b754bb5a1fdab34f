"""Jobs over HTTP: list, watch, summarise, retry, cancel, and read their diary."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.http import parse_etags
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import Serializer

from collections_app.endpoint import checked
from collections_app.http import actor
from collections_app.serializers import moment
from ingestion import reads, services, waiting
from ingestion.api.base import (
    IngestionEndpoint,
    find_job,
    invalid_parameters,
    no_collection,
    no_job,
    wanted_status,
)
from ingestion.filters import JobFilter
from ingestion.models import LIVE, FileRegistry, JobEvent
from ingestion.serializers import EventsWantedSerializer, JobsWantedSerializer, JobWantedSerializer, RetrySerializer
from ingestion.wire import without_masks


class JobPages(LimitOffsetPagination):
    """What the page in the browser needs to know of a page of jobs; ``reads`` does the paging."""

    def show(self, request: Request, total: int, limit: int, offset: int) -> None:
        self.request, self.count, self.limit, self.offset = request, total, limit, offset
        self.display_page_controls = total > limit

    def get_results(self, data: Mapping[str, Any]) -> Any:
        return data["items"]


class JobViewSet(IngestionEndpoint):
    """The jobs of a collection."""

    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {"retry": RetrySerializer}
    pagination_class = JobPages
    filter_backends = (DjangoFilterBackend,)
    filterset_class = JobFilter  # the form of the page; ``reads`` compiles the same filter once

    def get_queryset(self) -> QuerySet[FileRegistry]:
        return FileRegistry.objects.none()

    def list(self, request: Request, collection_id: int) -> Response:
        """The collection's jobs, newest first unless asked otherwise."""
        wanted = checked(JobsWantedSerializer, request.query_params.dict(), "query")
        status = wanted_status(request.query_params.get("status", ""))
        counts = reads.counts(collection_id)
        if counts is None:
            raise no_collection(collection_id)
        total = counts.by_status[status] if status else counts.total
        limit, offset = wanted["limit"], wanted["offset"]
        items = reads.jobs_page(
            collection_id,
            status=status,
            sort_by=wanted["sort_by"],
            descending=wanted["sort_order"] == "desc",
            limit=limit,
            offset=offset,
        )
        if isinstance(self.paginator, JobPages):
            self.paginator.show(request, total, limit, offset)
        return Response(
            {"total": total, "items": items, "limit": limit, "offset": offset, "has_more": offset + len(items) < total}
        )

    def retrieve(self, request: Request, collection_id: int, job_id: int) -> HttpResponse:
        """One job: status, progress, error.

        ``If-None-Match`` with the ETag of the last answer gets 304 while nothing has changed. With ``wait``, the answer
        comes when something changes, or after that many seconds; a job that has ended is answered at once.
        """
        seconds = checked(JobWantedSerializer, request.query_params.dict(), "query")["wait"]
        known = set(parse_etags(request.headers.get("If-None-Match", "")))
        headers = {"Cache-Control": "private, no-cache"}
        if seconds:
            headers |= wait_for_change(collection_id, job_id, known, seconds)
        if known and (tag := reads.tag(collection_id, job_id)) in known:
            return HttpResponse(status=304, headers={**headers, "ETag": str(tag)})
        found = reads.tagged_job(collection_id, job_id)
        if found is None:
            raise no_job(collection_id, job_id)
        job, tag = found
        return Response(job, headers={**headers, "ETag": tag})

    def retry(self, request: Request, collection_id: int, job_id: int) -> Response:
        """Queue a failed job again, if wished with other parameters; what is not sent stays as it was."""
        body = checked(RetrySerializer, request.data)
        job = find_job(collection_id, job_id)
        overrides = without_masks(body.get("override_params") or body.get("new_params") or {})
        try:
            with transaction.atomic():  # answered as it was queued, before a worker can take it
                services.retry(job, overrides, by=actor(request))
                answer = reads.job(collection_id, job_id)
        except services.InvalidParameters as error:
            raise invalid_parameters(error, "override_params") from error
        return Response(answer)

    def cancel(self, request: Request, collection_id: int, job_id: int) -> Response:
        """Stop a job that waits or runs. Nothing of it is found from now on."""
        services.cancel(find_job(collection_id, job_id), by=actor(request))
        job = reads.job(collection_id, job_id)
        if job is None:  # deleted meanwhile
            raise no_job(collection_id, job_id)
        return Response(job)

    def summary(self, request: Request, collection_id: int) -> Response:
        """How the collection's jobs stand: counts, latest failures, and the one that runs longest."""
        counts = reads.counts(collection_id)
        if counts is None:
            raise no_collection(collection_id)
        by_status = counts.by_status
        return Response(
            {
                "collection_id": collection_id,
                "collection_name": counts.name,
                "total_jobs": counts.total,
                "by_status": by_status,
                "currently_processing": by_status["processing"],
                "recent_failures": reads.latest_failures(collection_id) if by_status["failed"] else [],
                "oldest_processing_job": reads.longest_running(collection_id) if by_status["processing"] else None,
            }
        )

    def events(self, request: Request, collection_id: int, job_id: int) -> Response:
        """The job's diary, oldest entry first. Ask again with ``after`` = the last id to get what is new."""
        wanted = checked(EventsWantedSerializer, request.query_params.dict(), "query")
        find_job(collection_id, job_id)
        diary = JobEvent.objects.filter(job_id=job_id)
        after, limit = wanted["after"], wanted["limit"]
        found = list(diary.filter(pk__gt=after).order_by("pk")[: limit + 1])
        items = [event_object(event) for event in found[:limit]]
        return Response(
            {"items": items, "total": diary.count(), "after": after, "limit": limit, "has_more": len(found) > limit}
        )

    # -- The page in the browser ----------------------------------------------------------------------

    def get_extra_action_url_map(self) -> dict[str, str]:
        """Links from a job's page to its verbs."""
        if self.action not in {"retrieve", "retry", "cancel", "events"}:
            return {}
        named = {"The job": "job", "Diary": "job-events", "Retry": "job-retry", "Cancel": "job-cancel"}
        return {title: reverse(name, kwargs=self.kwargs, request=self.request) for title, name in named.items()}


def wait_for_change(collection_id: int, job_id: int, known: set[str], seconds: float) -> dict[str, str]:
    """Return when none of the *known* ETags is the job's any more, or *seconds* are over.

    :param known: empty: the job as it is now
    :return: headers that tell a client, for whom there was no place to wait, when to ask again
    """
    job = reads.row(collection_id, job_id)
    if job is None or job.status not in LIVE:
        return {}
    with waiting.place() as has_one:
        if not has_one:
            return {"Retry-After": str(settings.INGESTION_JOB_REFRESH_RATE)}
        same: set[str | None] = {*known} or {reads.tag(collection_id, job_id)}
        waiting.until(lambda: reads.tag(collection_id, job_id) not in same, seconds)
    return {}


def event_object(event: JobEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": moment(event.at),
        "kind": event.kind,
        "attempt": event.attempt,
        "message": event.message,
        "data": event.data,
    }
