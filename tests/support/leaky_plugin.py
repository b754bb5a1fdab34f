"""A plugin that tells the secrets that it was given: in its error, its diary, its statistics and its output."""

import sys
from collections.abc import Iterable
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginError, PluginRegistry


@PluginRegistry.register
class LeakyIngest(IngestPlugin):
    name = "leaky_ingest"
    description = "Tells secrets, for tests"
    supports_progress = True

    def get_parameters(self) -> ParameterSpecs:
        return {
            "api_key": {"type": "string", "description": "secret"},
            "proxy_url": {"type": "string", "description": "holds a password"},
            "url": {"type": "string", "description": "holds a password too"},
            "way": {"type": "string", "default": "error", "enum": ["error", "raise", "tell"], "description": "how"},
        }

    def ingest(self, file_path: str, **kwargs: Any) -> Iterable[Chunk]:
        password = kwargs["proxy_url"].partition("://")[2].partition("@")[0].partition(":")[2]
        told = f"{kwargs['api_key']} and {kwargs['proxy_url']} and {kwargs['url']} and {password}"
        self.report_progress(kwargs, 0, 1, f"Calling {told}")
        self.warn(kwargs, f"The server did not like {told}", {"request": {"headers": [told]}})
        self.report_stats(kwargs, {"asked": told})
        sys.stderr.write(f"DEBUG calling with {told}\n")
        sys.stderr.flush()
        if kwargs["way"] == "error":
            raise PluginError("refused", f"Refused: {told}", hint=f"Try without {told}", context={"sent": [told]})
        if kwargs["way"] == "raise":
            raise RuntimeError(f"401 for {told}")
        yield {"text": "a quiet text", "metadata": {}}
