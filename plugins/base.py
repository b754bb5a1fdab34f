"""What a plugin is: the base classes, the errors it may raise, and the registry it joins.

Nothing here knows Django. Ingest plugins run in a process of their own (``plugins.host``); plugins written for
LAMB's KB server work as they are.
"""

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

Chunk = Mapping[str, Any]  # {"text": str, "metadata": {str: str | int | float | bool | list | None}}
ParameterSpecs = dict[str, dict[str, Any]]  # {name: {"type": ..., "default": ..., "min": ..., "enum": [...], ...}}


class PluginError(Exception):
    """A failure that the plugin can explain.

    :param code: stable slug for machines, such as ``encrypted`` (``error_code`` of the job)
    :param message: one sentence for the person who uploaded, without server paths or secrets
    :param hint: what that person can do about it
    :param transient: True when the same source may work later; the job is then retried by itself
    :param context: small JSON-able facts for the operator (``error_details.context``); ``retry_after`` among them are
        the seconds to wait before a transient one is retried
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        transient: bool = False,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.transient = transient
        self.context = dict(context or {})


class IngestPlugin(abc.ABC):
    """Turns one source into chunks.

    Class attributes:

    * ``name``: unique slug, the ``plugin_name`` of the API
    * ``kind``: ``file-ingest``, ``remote-ingest`` or ``base-ingest``
    * ``description``: one line for people
    * ``supported_file_types``: extensions without dot, such as ``{"txt", "md"}``; empty means any
    * ``supports_progress``: True when :meth:`ingest` calls :meth:`report_progress`
    * ``progress_unit``: what its progress counts: ``stage`` (default), ``url`` or ``video``
    * ``takes_api_key``: True when it may call the collection's own vendor; see :meth:`ingest`
    """

    name: ClassVar[str] = ""
    kind: ClassVar[str] = "file-ingest"
    description: ClassVar[str] = ""
    supported_file_types: ClassVar[Iterable[str]] = frozenset()
    supports_progress: bool = False
    progress_unit: ClassVar[str] = "stage"
    takes_api_key: ClassVar[bool] = False

    @abc.abstractmethod
    def ingest(self, file_path: str, **kwargs: Any) -> Iterable[Chunk]:
        """Return or yield the chunks of *file_path*, in reading order.

        *kwargs* holds the declared parameters, and of the host: ``file_url``, ``original_filename``,
        ``content_hash`` (SHA-256 of the bytes, empty without a file), ``kept_folder`` (see ``plugins.kept``),
        ``collection_owner``, ``collection_name``, ``progress_callback(current, total, message)``,
        ``stats_callback(stats)`` and ``warning_callback(message, data)``. In collections whose vendor is openai,
        plugins with ``takes_api_key`` (or a parameter of that name) get ``openai_api_key``, and with it
        ``openai_base_url``, such as ``https://api.openai.com/v1``.

        :raises PluginError: with a code, a sentence and a hint
        """

    @abc.abstractmethod
    def get_parameters(self) -> ParameterSpecs:
        """The parameters that people may set, with type, default, range and help."""

    def report_progress(self, kwargs: Mapping[str, Any], current: int, total: int, message: str) -> None:
        """Report that *current* of *total* steps are done, and what happens now."""
        callback: Callable[[int, int, str], None] | None = kwargs.get("progress_callback")
        if callback:
            callback(current, total, message)

    def warn(self, kwargs: Mapping[str, Any], message: str, data: Mapping[str, Any] | None = None) -> None:
        """Write *message* into the job's diary: the job goes on, but somebody should know."""
        callback: Callable[[str, Any], None] | None = kwargs.get("warning_callback")
        if callback:
            callback(message, data)

    def report_stats(self, kwargs: Mapping[str, Any], stats: Mapping[str, Any]) -> None:
        """Merge *stats* into the job's ``processing_stats``."""
        callback: Callable[[Mapping[str, Any]], None] | None = kwargs.get("stats_callback")
        if callback:
            callback(stats)

    @classmethod  # noqa: B027  (most plugins have nothing slow to load)
    def warm_up(cls) -> None:
        """Load what is slow to import. Called once by a host that waits for work."""


class QueryPlugin(abc.ABC):
    """Answers one question from one collection. Runs in the web process, so it must be small and quick."""

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""

    @abc.abstractmethod
    def query(self, collection_id: int, query_text: str, **kwargs: Any) -> list[dict[str, Any]]:
        """Return ``[{"similarity": float, "data": str, "metadata": dict}]``, nearest first.

        *kwargs* holds the declared parameters, ``search(text, top_k)``, which returns rows of the same shape by cosine
        similarity, and ``search_text(text, top_k)``, which returns those that share words with *text*, best first. Rows
        also carry ``chunk_pk`` and ``document_pk``, which are not sent; other keys that a plugin adds are.
        """

    @abc.abstractmethod
    def get_parameters(self) -> ParameterSpecs: ...


Plugin = TypeVar("Plugin", bound="type[IngestPlugin] | type[QueryPlugin]")


class PluginRegistry:
    """Plugins by name. A class joins with the decorator ``@PluginRegistry.register``."""

    _ingest: ClassVar[dict[str, type[IngestPlugin]]] = {}
    _query: ClassVar[dict[str, type[QueryPlugin]]] = {}

    @classmethod
    def register(cls, plugin: Plugin) -> Plugin:
        """Add *plugin* under its name; a later class of the same name takes its place."""
        if not plugin.name:
            raise ValueError(f"{plugin.__module__}.{plugin.__qualname__} has no name")
        if issubclass(plugin, IngestPlugin):
            cls._ingest[plugin.name] = plugin
        else:
            cls._query[plugin.name] = plugin
        return plugin

    @classmethod
    def ingest_plugins(cls) -> dict[str, type[IngestPlugin]]:
        return dict(cls._ingest)

    @classmethod
    def query_plugins(cls) -> dict[str, type[QueryPlugin]]:
        return dict(cls._query)
