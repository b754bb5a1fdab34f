"""Plugins that behave badly on purpose, for fault tests: they take their time, hang, crash or eat memory."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry

BLOCK = 1 << 24
PIECE = 500


@PluginRegistry.register
class SlowIngest(IngestPlugin):
    """Cuts a text at blank lines, waiting before each of its steps."""

    name = "slow_ingest"
    description = "Takes its time, for tests"
    supports_progress = True

    def get_parameters(self) -> ParameterSpecs:
        return {
            "seconds": {"type": "number", "default": 1.0, "description": "how long the conversion takes"},
            "steps": {"type": "integer", "default": 4, "description": "in how many steps it reports"},
            "helper": {"type": "boolean", "default": False, "description": "whether a program helps it meanwhile"},
        }

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        steps = kwargs["steps"]
        helper = subprocess.Popen(["/bin/sleep", "3600"]) if kwargs["helper"] else None
        for step in range(steps):
            self.report_progress(kwargs, step, steps, f"Step {step + 1} of {steps}")
            time.sleep(kwargs["seconds"] / steps)
        if helper:
            helper.kill()
            helper.wait()
        for paragraph in Path(file_path).read_text().split("\n\n"):
            if paragraph.strip():
                yield {"text": paragraph, "metadata": {"source": "slow"}}


@PluginRegistry.register
class TellingIngest(IngestPlugin):
    """Cuts a text into equal pieces, and reports each of them or none: what progress costs."""

    name = "telling_ingest"
    description = "Reports each of its chunks, for measurements"
    supports_progress = True

    def get_parameters(self) -> ParameterSpecs:
        return {"tell": {"type": "boolean", "default": True, "description": "whether it reports at all"}}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        text = Path(file_path).read_text()
        starts = range(0, len(text), PIECE)
        for number, start in enumerate(starts):
            if kwargs["tell"]:
                self.report_progress(kwargs, number, len(starts), f"Piece {number + 1} of {len(starts)}")
            yield {"text": text[start : start + PIECE], "metadata": {"source": "telling"}}


@PluginRegistry.register
class BadIngest(IngestPlugin):
    """Fails in the way that its parameter names."""

    name = "bad_ingest"
    description = "Misbehaves, for tests"
    supports_progress = True

    def get_parameters(self) -> ParameterSpecs:
        ways = ["hang", "loop", "segfault", "memory", "exit", "raise", "print", "child", "empty"]
        return {"way": {"type": "string", "default": "raise", "enum": ways, "description": "what goes wrong"}}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        way = kwargs["way"]
        self.report_progress(kwargs, 0, 1, f"About to {way}")
        if way == "hang":
            while True:
                time.sleep(3600)
        if way == "loop":
            while True:
                pass
        if way == "segfault":
            ctypes.string_at(0)
        if way == "memory":
            hog = []
            while True:
                hog.append(bytearray(BLOCK))
        if way == "exit":
            os._exit(3)
        if way == "raise":
            raise ValueError("This plugin always fails")
        if way == "child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
            time.sleep(3600)
        if way == "print":
            print('{"kind": "done"}', flush=True)  # a plugin's own output must not be taken for the host's
        if way != "empty":
            yield {"text": "still here", "metadata": {}}
