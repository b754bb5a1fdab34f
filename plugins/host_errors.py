"""What a host reports when a plugin fails: a sentence for people, exception and traceback for the operator."""

import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.base import PluginError
from plugins.normalise import clean_text
from plugins.spool import is_no_space, no_space

TRACEBACK_CHARACTERS = 2000
_MESSAGE_CHARACTERS = 500


def describe_error(error: BaseException, command: Mapping[str, Any]) -> dict[str, Any]:
    """The report of *error*: ``code, message, hint, transient, context, exception_type, traceback``."""
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # they hold what did not fit, and the report needs room
    explained = _explain(error, str(command.get("plugin", "")))
    hide = _hider(command)
    cause = explained.__cause__ if isinstance(error, PluginError) and explained.__cause__ else error
    return {
        "code": explained.code,
        "message": hide(explained.message)[:_MESSAGE_CHARACTERS],
        "hint": hide(explained.hint),
        "transient": explained.transient,
        "context": explained.context,
        "exception_type": type(cause).__name__,
        "traceback": hide(_traceback(error)),
    }


def _explain(error: BaseException, plugin: str) -> PluginError:
    if isinstance(error, PluginError):
        return error
    if isinstance(error, MemoryError):
        return PluginError(
            "out_of_memory",
            "Reading this source needs more memory than a plugin may use.",
            hint="Split the source into smaller files, or ask the operator to raise KB_PLUGIN_MEMORY_MB.",
        )
    if isinstance(error, OSError) and is_no_space(error):
        return no_space()
    detail = " ".join(str(error).split())
    return PluginError(
        "plugin_error",
        f"The plugin {plugin} failed: {type(error).__name__}{': ' if detail else '.'}{detail}",
        hint="Check that the file opens elsewhere; if it does, show the details below to the operator.",
    )


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error, limit=-20)
    except Exception:  # an exception whose own text fails
        lines = [type(error).__name__]
    return clean_text("".join(lines))[-TRACEBACK_CHARACTERS:]


def _hider(command: Mapping[str, Any]) -> Any:
    """A function that shortens server paths in a text: they help nobody and show how the server is laid out."""
    own = [Path(str(command[key])) for key in ("path", "spool") if command.get(key)]
    folders = {str(path.parent) for path in own if path.is_absolute()}
    folders |= {sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parent.parent), os.getcwd()}  # noqa: PTH109
    known = sorted((folder for folder in folders if len(folder) > 1), key=len, reverse=True)

    def hide(text: str) -> str:
        text = re.sub(r'File "[^"\n]*/site-packages/', 'File "', text)
        for folder in known:
            text = text.replace(folder, "…")
        return re.sub(r'File "/[^"\n]*/([^/"\n]+/[^/"\n]+)"', r'File "…/\1"', text)

    return hide
