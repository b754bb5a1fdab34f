"""Failed jobs in groups: those with the same code, whose messages differ only in names and numbers, and what helps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min

from collections_app.serializers import moment
from ingestion.filters import chosen
from ingestion.models import FileRegistry, JobQuerySet

MOST_GROUPS = 500


# -- What helps -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remedy:
    """What can be done about failures with one code.

    :param action: ``retry``, ``retry_with`` (other parameters), ``mend_vendor`` (the embedding service or its
        settings, then retry), ``mend_server`` (disk, memory, plugins, then retry) or ``nothing`` (the source is the
        trouble: upload another)
    :param sentence: for the operator, of all such failures
    :param advice: for the person who uploaded, of one
    :param params: for ``retry_with``, parameters worth trying
    """

    action: str
    sentence: str
    advice: str
    params: Mapping[str, Any] = field(default_factory=dict)


RETRY, RETRY_WITH, MEND_VENDOR, MEND_SERVER, NOTHING = "retry", "retry_with", "mend_vendor", "mend_server", "nothing"

_LATER = Remedy(
    RETRY,
    "It may have passed by now. Retry them all.",
    "It may have passed by now: retry it.",
)
_VENDOR = Remedy(
    MEND_VENDOR,
    "Check that the embedding service runs and can be reached, then retry them all.",
    "The service that makes texts searchable does not work. Tell the operator, and retry when it does.",
)
_VENDOR_SETTINGS = Remedy(
    MEND_VENDOR,
    "Mend the collection's model, address or key, then retry them all.",
    "The model, address or key of the collection has to be mended; ask the operator, and retry after that.",
)
_CRASHED = Remedy(
    RETRY,
    "Retry one of them. If it fails again, the plugin has an error, or the file is hostile.",
    "Retry it once. If it fails again, tell the operator the number of this job.",
)
_SPACE = Remedy(
    MEND_SERVER,
    "Make room on the server's disk, then retry them all.",
    "The operator has to make room on the server's disk. Retry after that.",
)
_MEMORY = Remedy(
    MEND_SERVER,
    "Raise KB_PLUGIN_MEMORY_MB, or upload smaller files; then retry.",
    "Upload it in smaller files, or ask the operator for more memory and retry after that.",
)
_TIME = Remedy(
    MEND_SERVER,
    "Raise INGESTION_TASK_TIMEOUT_SECONDS, or split the files; then retry.",
    "Retry it, or upload it in smaller files. If that does not help, the operator can allow more time.",
)
_COMPUTING = Remedy(
    MEND_SERVER,
    "Raise KB_PLUGIN_CPU_SECONDS, or split the files; then retry.",
    "Upload it in smaller files, or ask the operator for more computing time and retry after that.",
)
_CERTIFICATE = Remedy(
    MEND_SERVER,
    "If the network inspects connections, set SSL_CERT_FILE to its certificates, then retry them all.",
    "The operator has to mend the server's connection to YouTube. Retry after that.",
)
_READER = Remedy(
    MEND_SERVER,
    "Update the package youtube-transcript-api, then retry them all.",
    "The operator has to update what reads YouTube. Until then, upload the captions as .srt.",
)
_PLUGIN = Remedy(
    MEND_SERVER,
    "Install the plugin again and restart the server, then retry them all.",
    "Upload it with another plugin, or ask the operator to install this one again.",
)
_OTHER_FILE = Remedy(
    NOTHING,
    "A retry cannot help: the source itself has to be mended and uploaded again.",
    "A retry cannot help: mend the source itself and upload it again.",
)
_SCAN = Remedy(
    NOTHING,
    "See whether the files hold text at all: scans need text recognition (OCR) first.",
    "See whether the source holds text at all: a scan needs text recognition (OCR) first.",
)
_ADDRESS = Remedy(
    RETRY_WITH,
    "Mend the address, and retry with it.",
    "Mend the address, and retry with it.",
)
_PAGE = Remedy(
    RETRY_WITH,
    "Open the addresses in a browser: mend those that do not open there, and retry the others later.",
    "Open the address in a browser. If it does not open there, mend it and retry; otherwise retry later.",
)
_VIDEO = Remedy(
    NOTHING,
    "Their owners can change captions and visibility in YouTube Studio; otherwise upload captions as .srt.",
    "If the video is yours, change its captions or visibility in YouTube Studio and retry. Otherwise upload captions.",
)
_WALL = Remedy(
    NOTHING,
    "The site keeps programs out. Save the pages from a browser and upload them.",
    "The site keeps programs out. Save the page from a browser and upload it.",
)
_BLOCKED = Remedy(
    RETRY_WITH,
    "YouTube blocks this server. Retry later or with proxy_url, or upload captions as .srt.",
    "YouTube blocks this server. Upload the captions as .srt, or retry later or with a proxy.",
)
_PARAMETER = Remedy(
    RETRY_WITH,
    "Mend the parameter that the message names, and retry with it.",
    "Mend the parameter that the message names, and retry with it.",
)
_ROBOTS = Remedy(
    RETRY_WITH,
    "If the site is yours, retry with respect_robots off.",
    "If the site is yours, switch off “Do as the site asks robots” and retry.",
    {"respect_robots": False},
)
_TOO_LARGE = Remedy(
    NOTHING,
    "Split the source into smaller ones and upload those.",
    "Split the source into smaller ones and upload those.",
)

_REMEDIES: Mapping[str, Remedy] = {
    **dict.fromkeys(("vendor_timeout", "vendor_unavailable", "vendor_rate_limited", "vendor_nonsense"), _VENDOR),
    **dict.fromkeys(
        ("vendor_rejected", "vendor_not_found", "vendor_bad_request", "dimension_mismatch", "secret_unreadable",
         "unknown_model", "unknown_vendor", "invalid_endpoint", "invalid_api_key", "tokenizer_missing"),
        _VENDOR_SETTINGS,
    ),
    **dict.fromkeys(
        ("worker_lost", "plugin_crashed", "plugin_error", "internal_error", "spool_lost", "host_unavailable"),
        _CRASHED,
    ),
    **dict.fromkeys(("corrupt", "encrypted", "unsupported", "not_text", "file_missing", "garbled"), _OTHER_FILE),
    **dict.fromkeys(("captions_disabled", "no_captions", "video_private", "video_age_restricted", "video_unplayable"),
                    _VIDEO),
    **dict.fromkeys(("address_blocked", "invalid_video", "unsupported_address", "no_address", "too_many_redirects",
                     "video_not_found", "host_not_found"), _ADDRESS),
    **dict.fromkeys(("youtube_blocked", "youtube_rate_limited", "youtube_consent", "youtube_token_required"), _BLOCKED),
    **dict.fromkeys(("bad_parameter", "bad_proxy", "proxy_failed", "too_many_videos"), _PARAMETER),
    **dict.fromkeys(("database_busy", "interrupted", "failed_before_import", "fetch_failed", "fetch_timeout",
                     "youtube_empty", "youtube_failed", "youtube_timeout", "youtube_unreachable"), _LATER),
    "no_text": _SCAN,
    "no_space": _SPACE,
    "out_of_memory": _MEMORY,
    "timed_out": _TIME,
    "cpu_limit": _COMPUTING,
    "http_status": _PAGE,
    "tls_failed": _CERTIFICATE,
    "youtube_changed": _READER,
    "plugin_missing": _PLUGIN,
    "bot_wall": _WALL,
    "robots": _ROBOTS,
    "too_large": _TOO_LARGE,
}  # fmt: skip


def remedy_for(code: str) -> Remedy:
    """What helps against failures with this code; a retry where nothing better is known."""
    return _REMEDIES.get(code, _LATER)


def is_known(code: str) -> bool:
    """Whether the server or its own plugins give this code. Others come from plugins of third parties."""
    return code in _REMEDIES


# -- Groups -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailureGroup:
    """Failures of one kind. ``key`` names it in addresses, filters and commands."""

    code: str
    fingerprint: str
    jobs: int
    first_at: datetime | None
    last_at: datetime | None
    example: FileRegistry

    @property
    def key(self) -> str:
        return f"{self.code}:{self.fingerprint}"

    @property
    def remedy(self) -> Remedy:
        return remedy_for(self.code)


def groups(wanted: Mapping[str, Any] | None = None, limit: int = MOST_GROUPS) -> list[FailureGroup]:
    """The failed jobs that meet *wanted* (see ``filters.JobsFilter``), in groups, the largest first.

    :raises InvalidFilter:
    """
    failed = chosen(wanted or {}).failed()
    counted = (
        failed.order_by()
        .values("error_code", "error_fingerprint")
        .annotate(jobs=Count("id"), first=Min("processing_completed_at"), last=Max("processing_completed_at"),
                  latest=Max("id"))
        .order_by("-jobs", "-last")[:limit]
    )  # fmt: skip
    rows = list(counted)
    examples = _examples([row["latest"] for row in rows])
    for row in rows:
        if row["latest"] not in examples:  # it was retried or deleted since it was counted
            others = failed.filter(error_code=row["error_code"], error_fingerprint=row["error_fingerprint"])
            if other := _with_collection(others).order_by("-id").first():
                examples[row["latest"]] = other
    return [
        FailureGroup(
            row["error_code"], row["error_fingerprint"], row["jobs"], row["first"], row["last"], examples[row["latest"]]
        )
        for row in rows
        if row["latest"] in examples
    ]  # fmt: skip


def _examples(ids: list[int]) -> dict[int, FileRegistry]:
    return {job.pk: job for job in _with_collection(FileRegistry.objects.failed().filter(pk__in=ids))}


def _with_collection(jobs: JobQuerySet) -> JobQuerySet:
    return jobs.select_related("collection").defer("collection__embedding_api_key")


def as_object(group: FailureGroup) -> dict[str, Any]:
    """A group as it is answered."""
    example, remedy = group.example, group.remedy
    return {
        "group": group.key,
        "error_code": group.code,
        "message": example.error_message,
        "hint": (example.error_details or {}).get("hint"),
        "jobs": group.jobs,
        "first_at": moment(group.first_at),
        "last_at": moment(group.last_at),
        "example": {
            "job_id": example.pk,
            "collection_id": example.collection_id,
            "collection_name": example.collection.name,
            "original_filename": example.original_filename,
            "plugin_name": example.plugin_name,
        },
        "remedy": {"action": remedy.action, "message": remedy.sentence, "override_params": dict(remedy.params)},
    }
