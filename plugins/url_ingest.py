"""Web pages: a polite crawler that stays on the site it was sent to, and says of each page why it was not read."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginError, PluginRegistry
from plugins.chunking import SplitOptions, split, split_options, split_parameters
from plugins.kept import Kept
from plugins.metadata import chunk_of
from plugins.net import Fetcher, Limits
from plugins.report import Figures
from plugins.web.addresses import Rules, path_patterns
from plugins.web.crawl import Crawl, Failed, Order, Read
from plugins.web.crawl_tally import Tally

VERSION = "1.0"
LIMITS = Limits()  # of one request
MAX_PAGES = 10_000
MAX_LIST_BYTES = 1024 * 1024
WARNINGS_EACH = 20  # of one kind; a site may forbid thousands of its pages
NAME_CHARACTERS = 300


@PluginRegistry.register
class UrlIngest(IngestPlugin):
    name = "url_ingest"
    kind = "remote-ingest"
    description = "Crawls web pages by URL: follows links politely, reads main texts and linked documents as Markdown"
    supported_file_types = frozenset({"txt"})
    supports_progress = True
    progress_unit = "url"

    def get_parameters(self) -> ParameterSpecs:
        return {**_SOURCE, **_SCOPE, **_MANNERS, **split_parameters(1000, 200), **_NOTES}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of each page as it is read.

        :param file_path: a text file whose lines are addresses, used when the parameters name none; or a folder
        :raises PluginError: ``no_address``, ``bad_parameter``; when no page could be read, the reason of the first
        """
        options = split_options(kwargs, size=1000, overlap=200, markdown=True)
        order = _order(file_path, kwargs)
        tally = Tally(Figures(str(kwargs.get("file_url") or ""), options.strategy))

        def progress(done: int, total: int, message: str) -> None:
            self.report_progress(kwargs, done, total, message)

        with Fetcher(limits=LIMITS) as fetcher:
            crawl = Crawl(order, fetcher, Kept.of(kwargs), progress)
            for outcome in crawl.run():
                tally.add(outcome)
                if isinstance(outcome, Failed):
                    self._warn_of(outcome, tally, kwargs)
                if isinstance(outcome, Read):
                    self._warn_of_stale(outcome, tally, kwargs)
                    yield from _chunks(outcome, order, options, tally, kwargs)
        self._finish(crawl, tally, kwargs)

    def _warn_of(self, failed: Failed, tally: Tally, kwargs: Mapping[str, Any]) -> None:
        if tally.codes[failed.code] > WARNINGS_EACH:
            return
        data: dict[str, Any] = {"url": failed.address, "code": failed.code, "hint": failed.hint}
        self.warn(kwargs, failed.message, {**data, "status": failed.status} if failed.status else data)

    def _warn_of_stale(self, read: Read, tally: Tally, kwargs: Mapping[str, Any]) -> None:
        if read.stale and tally.stale <= WARNINGS_EACH:
            message = f"{read.address} could not be read; its text of the last time was taken. {read.stale.message}"
            self.warn(kwargs, message, {"url": read.address, "code": read.stale.code, "stale": True})

    def _finish(self, crawl: Crawl, tally: Tally, kwargs: Mapping[str, Any]) -> None:
        for code, count in tally.codes.items():
            if count > WARNINGS_EACH:
                more = count - WARNINGS_EACH
                self.warn(kwargs, f"{more} more pages could not be read for the same reason ({code}).", {"code": code})
        if crawl.left_out:
            why = f"{crawl.order.seconds:g} seconds were over" if crawl.out_of_time else "the limit was reached"
            message = f"The crawl ended because {why}: {crawl.left_out} further addresses were left out."
            code = "timeout" if crawl.out_of_time else "limit"
            self.warn(kwargs, message, {"code": code, "left_out": crawl.left_out})
        self.report_stats(kwargs, tally.stats(crawl))
        if tally.read == tally.stale:
            raise tally.nothing_read()
        self.report_progress(kwargs, crawl.done, crawl.done, tally.sentence())


# -- Parameters -------------------------------------------------------------------------------------

_SOURCE: ParameterSpecs = {
    "url": {
        "type": "string",
        "format": "web-address",
        "description": "Address of the page where the crawl starts",
        "help_text": "Its links are followed. Without http:// or https:// it is taken as https. Several may be given, "
        "one a line.",
    },
    "urls": {
        "type": "array",
        "format": "web-address",
        "description": "Addresses of pages that are read alone, one a line",
        "help_text": "Their links are not followed, whatever max_discovery_depth says; to follow them, name a page as "
        "url. If neither is given, the lines of the uploaded text file are taken.",
    },
}
_SCOPE: ParameterSpecs = {
    "max_discovery_depth": {
        "type": "integer",
        "default": 2,
        "min": 0,
        "max": 20,
        "description": "How many links away from the start a page may be",
        "help_text": "0 reads the start page only.",
    },
    "limit": {
        "type": "integer",
        "default": 100,
        "min": 1,
        "max": MAX_PAGES,
        "description": "Most pages that are asked for",
        "help_text": "Pages that cannot be read count too. Pages named in urls are all asked for.",
    },
    "crawl_entire_domain": {
        "type": "boolean",
        "default": True,
        "description": "Follow links to all parts of the site",
        "help_text": "If off, only pages below the start page are read: /docs/intro leads to /docs/intro/first, and "
        "/docs/index.html to all below /docs/.",
    },
    "allow_subdomains": {
        "type": "boolean",
        "default": False,
        "description": "Follow links to subdomains",
        "help_text": "From example.org also to docs.example.org, but not the other way round.",
    },
    "ignore_query_parameters": {
        "type": "boolean",
        "default": False,
        "description": "Take addresses that differ only behind the question mark as one page",
        "help_text": "The first that is found is read. Leave it off where parameters choose what a page shows.",
    },
    "include_paths": {
        "type": "array",
        "description": "Follow only links to these paths, one a line",
        "help_text": "Such as /docs/* or *.pdf. An asterisk stands for any characters, and what is below a path "
        "belongs to it. Without a slash in front, a path may begin in any folder. Named pages are always read.",
    },
    "exclude_paths": {
        "type": "array",
        "description": "Follow no links to these paths, one a line",
        "help_text": "Written like include_paths, and stronger.",
    },
}
_MANNERS: ParameterSpecs = {
    "respect_robots": {
        "type": "boolean",
        "default": True,
        "description": "Do as the site asks robots",
        "help_text": "Heeds robots.txt, noindex and nofollow. Switch it off for your own sites only.",
    },
    "delay": {
        "type": "number",
        "default": 0.5,
        "min": 0,
        "max": 60,
        "description": "Seconds between two requests to one server",
        "help_text": "A longer Crawl-delay of the site's robots.txt is kept, up to 30 seconds.",
    },
    "timeout": {
        "type": "integer",
        "default": 300,
        "min": 1,
        "max": 5 * 3600,
        "description": "Seconds that the whole crawl may take",
        "help_text": "What was read until then is ingested, and a warning says how much was left out. One page may "
        "take two minutes, with its redirects and pauses.",
    },
    "api_url": {
        "type": "string",
        "description": "Not used: this server crawls by itself",
        "help_text": "Accepted, because older clients name a crawling service here.",
    },
    "api_key": {
        "type": "string",
        "description": "Not used: this server crawls by itself",
        "help_text": "Accepted, because older clients send the key of a crawling service here.",
    },
}
_NOTES: ParameterSpecs = {
    "description": {
        "type": "long-string",
        "description": "What the pages are about",
        "help_text": "Kept with every chunk, instead of the page's own description.",
    },
    "citation": {
        "type": "long-string",
        "description": "How to cite the pages",
        "help_text": "Kept with every chunk.",
    },
}


def _order(file_path: str, params: Mapping[str, Any]) -> Order:
    """What to crawl, as the parameters say; their values are checked, those that are absent have their defaults.

    :raises PluginError: ``no_address``, ``bad_parameter``
    """
    specs = {**_SCOPE, **_MANNERS}

    def value(name: str) -> Any:
        given = params.get(name)
        return specs[name]["default"] if given is None else given

    starts = [text.strip(" ,") for text in str(params.get("url") or "").splitlines() if text.strip(" ,")]
    singles = [str(text) for text in params.get("urls") or () if str(text).strip()]
    if not starts and not singles:
        singles = _listed(Path(file_path))
    if not starts and not singles:
        raise PluginError(
            "no_address", "No web address was given.", hint="Name one as url, several as urls, or upload a list."
        )
    if len(starts) + len(singles) > MAX_PAGES:
        raise PluginError(
            "bad_parameter", f"More than {MAX_PAGES} addresses were given.", hint="Split them over several jobs."
        )
    rules = Rules(
        entire_domain=bool(value("crawl_entire_domain")),
        subdomains=bool(value("allow_subdomains")),
        include=path_patterns("include_paths", params.get("include_paths") or ()),
        exclude=path_patterns("exclude_paths", params.get("exclude_paths") or ()),
    )
    return Order(
        starts=tuple(starts),
        singles=tuple(singles),
        depth=int(value("max_discovery_depth")),
        limit=int(value("limit")),
        rules=rules,
        ignore_query=bool(value("ignore_query_parameters")),
        respect_robots=bool(value("respect_robots")),
        delay=float(value("delay")),
        seconds=float(value("timeout")),
    )


def _listed(path: Path) -> list[str]:
    """The addresses in an uploaded text file, one a line; clients also upload one that stands for a single page."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        lines = file.read(MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


# -- Chunks -----------------------------------------------------------------------------------------


def _chunks(
    read: Read, order: Order, options: SplitOptions, tally: Tally, params: Mapping[str, Any]
) -> Iterator[Chunk]:
    pieces = list(split([read.page.markdown], options))
    metadata = {**_metadata(read, order, options, params), "chunk_count": len(pieces)}
    for index, piece in enumerate(pieces):
        tally.figures.chunks.add(len(piece.text))
        yield chunk_of(piece, metadata, index)


def _metadata(read: Read, order: Order, options: SplitOptions, params: Mapping[str, Any]) -> dict[str, Any]:
    """What every chunk of a page carries.

    ``source_url`` is the page's own address, since citations open it; where the crawl began is ``start_url``.
    """
    page = read.page
    told = {
        "og_title": page.og_title,
        "og_description": page.og_description,
        "description": str(params.get("description") or "").strip() or page.description,
        "citation": str(params.get("citation") or "").strip(),
    }
    return {
        "ingestion_plugin": UrlIngest.name,
        "plugin_version": VERSION,
        "source_url": read.address,
        "page_url": read.address,
        "start_url": read.target.start,
        "filename": page.title[:NAME_CHARACTERS] or read.address,
        "title": page.title,
        "language": page.language,
        "status_code": read.status,
        "retrieval_timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "file_url": str(params.get("file_url") or ""),
        "limit": order.limit,
        "max_discovery_depth": order.depth,
        "crawl_entire_domain": order.rules.entire_domain,
        "crawler_api_url": "",
        "chunking_strategy": options.strategy,
        "chunk_size": options.size,
        "chunk_overlap": options.overlap,
        **{key: text for key, text in told.items() if text},
    }
