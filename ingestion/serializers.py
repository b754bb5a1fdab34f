"""What requests about jobs and files may say."""

from typing import Any

from rest_framework import serializers

from collections_app import catalogue
from collections_app.fields import ChoiceField, FlagField, IntegerField, NumberField, ObjectField, TextField
from ingestion.duplicates import OnDuplicate
from ingestion.filters import ORDERINGS, SORTS
from ingestion.waiting import LONGEST

MOST_AT_ONCE = 1000  # jobs of one bulk request, so that it is answered within a client's patience

ON_DUPLICATE_HELP = (
    "What to do when the collection has this source already: take it again (allow), answer with the job that it has "
    "(skip), or put this one in its place as soon as it is complete (replace)."
)


def on_duplicate_field() -> ChoiceField:
    return ChoiceField(
        OnDuplicate.values, default=OnDuplicate.ALLOW, initial=OnDuplicate.ALLOW, help_text=ON_DUPLICATE_HELP
    )


class JobsWantedSerializer(serializers.Serializer[Any]):
    """The query of the job list; ``status`` is read by :class:`ingestion.filters.JobFilter`."""

    limit = IntegerField(min_value=1, max_value=200, default=50)
    offset = IntegerField(min_value=0, max_value=2**62, default=0)
    sort_by = ChoiceField(SORTS, default="created_at")
    sort_order = ChoiceField(("asc", "desc"), default="desc")


class JobWantedSerializer(serializers.Serializer[Any]):
    """The query of one job."""

    wait = NumberField(
        min_value=0, max_value=LONGEST, default=0.0, help_text="Seconds to wait for a change before answering"
    )


class AllJobsWantedSerializer(serializers.Serializer[Any]):
    """The query of the list of all jobs, beside its filters."""

    limit = IntegerField(min_value=1, max_value=200, default=50)
    ordering = ChoiceField(
        [f"{sign}{key}" for key in ORDERINGS for sign in ("-", "")],
        default="-id",
        help_text="What to sort by; with - in front, the largest first",
    )
    cursor = TextField(default="", help_text="next_cursor of the page before")
    count = FlagField(default=False, help_text="Also count all jobs that meet the filters")


class ManyJobsSerializer(serializers.Serializer[Any]):
    """Which jobs: ``ids``, or ``filter``, whose names and values are those of the list of all jobs."""

    ids = serializers.ListField(
        child=IntegerField(min_value=0, max_value=2**63 - 1),
        max_length=MOST_AT_ONCE,
        required=False,
        allow_null=True,
        default=None,
        help_text="Ids of jobs",
    )
    filter = ObjectField(
        required=False,
        allow_null=True,
        default=None,
        help_text='Filters as of GET /ingestion-jobs, such as {"code": "vendor_timeout"}; {} means all',
    )
    limit = IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=MOST_AT_ONCE, initial=MOST_AT_ONCE)
    after = IntegerField(
        min_value=0,
        max_value=2**63 - 1,
        default=0,
        initial=0,
        help_text="Go on behind this job: after of the last answer",
    )
    dry_run = FlagField(default=False, help_text="Only say what would be done")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["ids"] is None) == (attrs["filter"] is None):
            raise serializers.ValidationError("Send either ids or filter.")
        return attrs


class RetryManySerializer(ManyJobsSerializer):
    override_params = ObjectField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Plugin parameters to change; jobs whose plugin does not take them are refused",
    )


class FilesWantedSerializer(serializers.Serializer[Any]):
    """The query of the file list; without a limit it is the whole list."""

    limit = IntegerField(min_value=1, max_value=2**62, default=2**62)
    offset = IntegerField(min_value=0, max_value=2**62, default=0)


class EventsWantedSerializer(serializers.Serializer[Any]):
    """The query of the diary: entries after the one with id ``after``."""

    after = IntegerField(min_value=0, max_value=2**62, default=0)
    limit = IntegerField(min_value=1, max_value=1000, default=200)


class RetrySerializer(serializers.Serializer[Any]):
    """``new_params`` is what LAMB calls ``override_params``."""

    override_params = ObjectField(required=False, allow_null=True, initial=dict)
    new_params = ObjectField(required=False, allow_null=True, write_only=True)


class DeletionSerializer(serializers.Serializer[Any]):
    hard = FlagField(default=True)


class UploadSerializer(serializers.Serializer[Any]):
    """The form of an upload, as browsers show it."""

    file = serializers.FileField()
    plugin_name = TextField()
    plugin_params = TextField(required=False, initial="{}", style={"base_template": "textarea.html", "rows": 4})
    on_duplicate = on_duplicate_field()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "plugin_name": ChoiceField(list(catalogue.current().ingest))}


class PreviewSerializer(serializers.Serializer[Any]):
    """What is to be previewed, beside a file: that comes in a form only."""

    plugin_name = TextField(
        default="", help_text="Needed with a file; otherwise that of source_job, or one that suits the address"
    )
    plugin_params = ObjectField(default=dict, initial=dict)
    url = TextField(default="", max_length=2000, help_text="An address to fetch")
    urls = serializers.ListField(
        child=TextField(max_length=2000), max_length=1000, default=list, help_text="Several addresses to fetch"
    )
    source_job = IntegerField(
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        allow_null=True,
        default=None,
        help_text="A job of this collection, or a preview, whose source is read again",
    )


class PreviewFormSerializer(serializers.Serializer[Any]):
    """The form of a preview, as browsers show it."""

    file = serializers.FileField(required=False)
    url = TextField(required=False)
    source_job = TextField(required=False)
    plugin_name = TextField()
    plugin_params = TextField(required=False, initial="{}", style={"base_template": "textarea.html", "rows": 4})

    def get_fields(self) -> dict[str, Any]:
        names = list(catalogue.current().ingest)
        return {**super().get_fields(), "plugin_name": ChoiceField(names, required=False, allow_blank=True)}


class AddressesSerializer(serializers.Serializer[Any]):
    urls = serializers.ListField(child=TextField(max_length=2000), max_length=1000, initial=["https://example.org/"])
    plugin_name = TextField(default="url_ingest", initial="url_ingest")
    plugin_params = ObjectField(default=dict, initial=dict)
    on_duplicate = on_duplicate_field()


class SourceSerializer(serializers.Serializer[Any]):
    """A source that the plugin's parameters name."""

    plugin_name = TextField()
    plugin_params = ObjectField(default=dict, initial=dict)
    on_duplicate = on_duplicate_field()
