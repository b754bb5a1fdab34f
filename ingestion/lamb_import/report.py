"""What an import did, and everything that was odd about what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

MOST_EXAMPLES = 20  # of one finding; the count says how many there are

# Code → (what it means, and what became of it). In the order in which they are shown.
MEANINGS: Mapping[str, str] = {
    # Nothing to be done here
    "dead_job": "jobs that were waiting or running when LAMB's server was left: imported as failed, retry them",
    "json_twice": "values that were encoded as JSON twice: read all the same",
    "json_broken": "values that are no JSON: taken as empty",
    "date_broken": "dates that cannot be read: left out, or replaced by another date of the row",
    "params_list": "plugin parameters that are a list: emptied, the list is in the job's diary",
    "params_refused": "parameters that the plugin does not take here: left out of failed jobs, named in their diary",
    "params_secret": "plugin parameters that hold secrets: kept, never shown",
    "key_in_clear": "embedding keys that LAMB kept in clear: encrypted here",
    "status_unknown": "jobs in a status that does not exist: imported as failed",
    "visibility_unknown": "collections with a visibility that does not exist: imported as private",
    "model_from_chunks": "collections without settings of their model: its name was found in their chunks",
    "model_default": "empty collections without a model: they got this server's own",
    "space_other": "collections that LAMB did not compare by cosine: they are from now on, so ranks may differ",
    # Kept, but somebody should know
    "plugin_unknown": "files read by a plugin that is not installed here: imported, but they cannot be retried",
    "chunks_without_file": "chunks that name no file: kept in their collection, found as before",
    "chunks_of_deleted_file": "chunks of files that were deleted in LAMB, which still answered: kept without a file",
    "count_differs": "files that have more or fewer chunks than LAMB counted: the chunks that are there count",
    "size_differs": "files whose size is not what LAMB noted: taken as they are",
    "model_missing": "collections with chunks whose model nobody knows: imported, but questions cannot be embedded",
    # Not brought over
    "vectors_missing": "collections without a vector collection: imported empty",
    "vectors_ownerless": "vector collections that belong to no collection: not imported",
    "collection_missing": "files whose collection does not exist: not imported, their ids stay unused",
    "file_missing": "files that are not on the disk: the job and its chunks are imported, the file cannot be opened",
    "chunk_other_model": "chunks that another model embedded: not imported, ingest their files again",
    "chunk_bad_vector": "chunks whose vector is missing, zero or not a number: not imported",
    "chunk_no_text": "chunks without text: not imported",
    "chunk_unreadable": "chunks that Chroma cannot read: not imported",
    "deleted_here": "what an earlier run imported and somebody deleted here since: not imported again",
}


@dataclass
class Finding:
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Report:
    """Counts and findings. A dry run makes the same one, but for ``written``.

    * ``found``: what LAMB's server holds: collections, files, chunks
    * ``written``: what this run added here: collections, files, file_bytes, chunks
    * ``there_already``: what an earlier run had added
    """

    source: str = ""
    dry_run: bool = False
    seconds: float = 0.0
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("collections", "files", "chunks"), 0))
    written: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("collections", "files", "file_bytes", "chunks"), 0)
    )
    there_already: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("collections", "files", "chunks"), 0))
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, code: str, example: str, count: int = 1) -> None:
        """Note something odd. *example* names where, in words for the operator and without secrets."""
        if code not in MEANINGS:
            raise KeyError(code)
        finding = self.findings.setdefault(code, Finding())
        finding.count += count
        if len(finding.examples) < MOST_EXAMPLES:
            finding.examples.append(example)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 2),
            "found": self.found,
            "written": self.written,
            "there_already": self.there_already,
            "findings": [
                {"code": code, "meaning": meaning, "count": finding.count, "examples": finding.examples}
                for code, meaning in MEANINGS.items()
                if (finding := self.findings.get(code))
            ],
        }

    def show(self, console: Console) -> None:
        """As two tables: the counts, and what was odd."""
        counts = Table("", "in LAMB", "imported now", "there already", box=None, pad_edge=False, header_style="dim")
        for name in ("collections", "files", "chunks"):
            numbers = (self.found[name], self.written[name], self.there_already[name])
            counts.add_row(name, *(f"{number:,}" for number in numbers))
        console.print(counts)
        if self.findings:
            odd = Table("", "what", "where", box=None, pad_edge=False, header_style="dim")
            for code, meaning in MEANINGS.items():
                if finding := self.findings.get(code):
                    odd.add_row(f"{finding.count:,}", meaning, escape(_few(finding)))
            console.print()
            console.print(odd)
        end = "Nothing was written." if self.dry_run else f"Done in {self.seconds:.1f} s."
        console.print(f"\n{end}")


def _few(finding: Finding) -> str:
    shown = finding.examples[:3]
    return "; ".join(shown) + (" …" if len(finding.examples) > len(shown) else "")
