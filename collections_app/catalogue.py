"""Which plugins there are, as this machine's hosts report it.

Ingest plugins are never imported here: a host is asked once at start, and the answer is kept in the run directory,
where web processes and workers read it.
"""

import os
import threading
from pathlib import Path

from django.conf import settings

from plugins.catalogue import Catalogue, build_catalogue
from plugins.registry import plugin_modules

_lock = threading.Lock()
_read: tuple[float, Catalogue] | None = None


def path() -> Path:
    return Path(settings.KB_RUN_DIR) / "catalogue.json"


def current() -> Catalogue:
    """The catalogue, read again when the file has changed; made when there is none."""
    global _read
    try:
        changed = path().stat().st_mtime
    except FileNotFoundError:
        return refresh()
    if _read is None or _read[0] != changed:
        _read = (changed, Catalogue.from_json(path().read_text(encoding="utf-8")))
    return _read[1]


def refresh() -> Catalogue:
    """Ask the plugins anew, in child processes, and keep the answer (takes a second or two)."""
    with _lock:
        catalogue = build_catalogue(plugin_modules(settings.KB_PLUGIN_MODULES))
        path().parent.mkdir(parents=True, exist_ok=True)
        draft = path().with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(catalogue.to_json(), encoding="utf-8")
        draft.replace(path())
        return catalogue
