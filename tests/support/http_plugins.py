"""Plugins that the contract tests need and the server does not bring: a remote one, and query plugins of both kinds."""

from collections.abc import Iterable
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry, QueryPlugin


@PluginRegistry.register
class AddressIngest(IngestPlugin):
    name = "address_ingest"
    kind = "remote-ingest"
    description = "Fetches addresses, for tests"
    supported_file_types = ("srt",)

    def get_parameters(self) -> ParameterSpecs:
        return {
            "url": {"type": "string", "description": "where"},
            "api_key": {"type": "string", "description": "secret"},
            "proxy_url": {"type": "string", "description": "secret too"},
            "limit": {"type": "integer", "default": 10, "min": 1, "max": 100, "description": "how many pages"},
        }

    def ingest(self, file_path: str, **kwargs: Any) -> Iterable[Chunk]:
        return []


@PluginRegistry.register
class AddressesIngest(AddressIngest):
    name = "addresses_ingest"

    def get_parameters(self) -> ParameterSpecs:
        return {"urls": {"type": "array", "description": "where"}}


@PluginRegistry.register
class RepositoryIngest(AddressIngest):
    name = "repository_ingest"
    kind = "base-ingest"

    def get_parameters(self) -> ParameterSpecs:
        return {"branch": {"type": "string", "default": "main", "description": "which"}}


@PluginRegistry.register
class BrokenQuery(QueryPlugin):
    name = "broken_query"
    description = "Breaks, for tests"

    def query(self, collection_id: int, query_text: str, **kwargs: Any) -> list[dict[str, Any]]:
        raise RuntimeError("broken")

    def get_parameters(self) -> ParameterSpecs:
        return {}
