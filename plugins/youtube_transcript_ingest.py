"""Videos, by their captions: each chunk is what is said in about a minute, with a link that jumps there.

Captions come from YouTube, or from an uploaded .srt or .vtt file, which needs no network.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginError, PluginRegistry
from plugins.kept import Kept, key_of
from plugins.normalise import counted
from plugins.text import decode
from plugins.videos.languages import Nearness, nearness
from plugins.videos.subtitles import Cue, Passage, is_subtitles, passages, read_subtitles, tidy, timestamp
from plugins.videos.video_addresses import Wanted, wanted
from plugins.videos.youtube import Captions, YouTube

VERSION = "1.0.0"
STRATEGY = "duration"
MAX_VIDEOS = 200  # of one job; with the pauses they take about ten minutes
MAX_FILE = 5 * 1024**2  # captions of a whole day have about a third of it
PAUSE_SECONDS = 2.0  # between two videos that are fetched: YouTube blocks those who ask fast
FRESH_SECONDS = 24 * 3600  # a retry finds kept captions; the next day they may have been corrected
KEPT_FORM = 1  # raised when captions are kept in another form

_PREVIEW_CHARACTERS = 2500
_SUBTITLES = frozenset({".srt", ".vtt"})
_DEFAULT_LANGUAGE = "en"
_DEFAULT_DURATION = 60
# What concerns every video, so that asking for the next one would only make it worse, or take long to fail.
_CONCERN_ALL = frozenset({"youtube_blocked", "youtube_rate_limited", "proxy_failed", "address_blocked", "tls_failed"})
MOST_IN_VAIN = 3  # passing faults in a row, after which no further video is asked for


@PluginRegistry.register
class YouTubeTranscriptIngest(IngestPlugin):
    name = "youtube_transcript_ingest"
    kind = "remote-ingest"
    description = "Reads the captions of YouTube videos, or subtitle files (.srt, .vtt), into chunks with time links"
    supported_file_types = frozenset({"txt", "srt", "vtt"})
    supports_progress = True
    progress_unit = "video"

    def get_parameters(self) -> ParameterSpecs:
        return {
            "_manual_subtitles_fallback": {
                "type": "info",
                "ui_hint": "info",
                "description": "If YouTube blocks this server, download the captions of your video in YouTube Studio "
                "(Subtitles, three dots, Download, .srt) and upload that file here instead.",
            },
            "video_url": {
                "type": "string",
                "description": "Address of a YouTube video, or several with blanks between them",
                "help_text": "Every form of address is understood, and bare video ids. Playlists are not read.",
            },
            "video_urls": {
                "type": "array",
                "description": "Addresses of further videos, one a line",
                "help_text": f"{MAX_VIDEOS} videos at most in one job.",
                "ui_hint": "textarea",
            },
            "language": {
                "type": "string",
                "default": _DEFAULT_LANGUAGE,
                "description": "Code of the language of the captions, such as en, pt-BR or zh-Hant",
                "help_text": "Without captions in it, a translation by YouTube is read, else English, else any.",
            },
            "chunk_duration": {
                "type": "number",
                "default": _DEFAULT_DURATION,
                "min": 5,
                "max": 3600,
                "description": "How many seconds of speech make a chunk",
            },
            "proxy_url": {
                "type": "string",
                "description": "Proxy to reach YouTube by, such as http://user:password@name:8080",
                "help_text": "For servers that YouTube blocks.",
            },
        }

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of the videos that parameters or the file name, or of a subtitle file.

        :raises PluginError: ``no_address``, ``too_many_videos``, ``bad_proxy``, ``corrupt``, ``too_large``,
            ``not_text``, ``no_text``; when no video could be read, as :func:`plugins.videos.youtube.explained` says
        """
        path = Path(file_path)
        named = wanted(_named(kwargs))
        text = _text_of(path) if path.is_file() and (not named or path.suffix.lower() in _SUBTITLES) else ""
        if path.suffix.lower() in _SUBTITLES or is_subtitles(text):
            return self._upload(text, named, path, kwargs)
        videos = named or wanted([text])
        if not videos:
            raise PluginError(
                "no_address",
                "There is no video to read: neither the parameter video_url nor the file holds an address.",
                hint="Set video_url, or upload a text file with one address a line.",
            )
        if len(videos) > MAX_VIDEOS:
            raise PluginError(
                "too_many_videos",
                f"These are {len(videos)} videos, but one job reads {MAX_VIDEOS} at most.",
                hint="Split the list into several jobs.",
            )
        return self._videos(videos, kwargs)

    # -- A subtitle file ----------------------------------------------------------------------------

    def _upload(self, text: str, named: Sequence[Wanted], path: Path, kwargs: dict[str, Any]) -> Iterator[Chunk]:
        name = str(kwargs.get("original_filename") or path.name)
        self.report_progress(kwargs, 0, 1, f"Reading {name}...")
        tally = _Tally(1)
        with tally.timing("reading"):
            subtitles = read_subtitles(text)
        if subtitles.damaged:
            self.warn(kwargs, f"Subtitles with damaged times: {subtitles.damaged}. They lie between their neighbours.")
        video_id = next((one.video_id for one in named if one.video_id), "")
        if named and not video_id:
            self.warn(kwargs, "video_url names no video, so the chunks do not link to one.")
        metadata = {
            **_common(kwargs),
            **({"video_id": video_id} if video_id else {}),
            "filename": name,
            "language": subtitles.language or _language(kwargs),
            "subtitle_source": "upload",
            "subtitle_format": subtitles.form,
            "retrieval_timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        yield from tally.chunks(name, subtitles.cues, metadata)
        self.report_stats(kwargs, tally.stats())
        self.report_progress(kwargs, 1, 1, f"Read {name}: {counted(len(tally.sizes), 'chunk')}")

    # -- Videos -------------------------------------------------------------------------------------

    def _videos(self, videos: Sequence[Wanted], kwargs: dict[str, Any]) -> Iterator[Chunk]:
        total = len(videos)
        tally = _Tally(total)
        with YouTube(str(kwargs.get("proxy_url") or "").strip()) as youtube:
            reader = _Reader(youtube, Kept.of(kwargs), _language(kwargs))
            for number, video in enumerate(videos):
                self.report_progress(kwargs, number, total, f"Fetching transcript of {_shown(video)}...")
                captions = self._read(reader, video, tally, kwargs)
                if captions:
                    yield from tally.chunks(captions.title, captions.cues, _metadata(captions, kwargs))
        self._tell_skipped(tally, kwargs)
        self.report_stats(kwargs, {**tally.stats(), "videos": tally.videos()})
        if not tally.read:
            raise tally.error()
        self.report_progress(
            kwargs, total, total, f"Read {tally.read} of {total} videos: {counted(len(tally.sizes), 'chunk')}"
        )

    def _read(self, reader: "_Reader", video: Wanted, tally: "_Tally", kwargs: dict[str, Any]) -> Captions | None:
        """The captions of one video; None, and a warning in the diary, when they cannot be had."""
        try:
            with tally.timing("fetching"):
                captions = reader.read(video)
        except PluginError as error:
            tally.failures.append((video, error))
            if tally.asked > 1 and not isinstance(error, _NotAsked):  # of a single one the job itself tells
                data = {"video": _shown(video), "code": error.code, "hint": error.hint}
                self.warn(kwargs, error.message, data)
            return None
        self._tell_language(captions, kwargs)
        return captions

    def _tell_language(self, captions: Captions, kwargs: dict[str, Any]) -> None:
        asked = _language(kwargs)
        if nearness(captions.language, asked) > Nearness.SCRIPT:
            why = "YouTube refused to translate them" if captions.untranslated else f"there are none in {asked!r}"
            self.warn(
                kwargs,
                f"The captions of “{captions.title[:80]}” are in {captions.language!r}, since {why}.",
                {"video": captions.video_id, "language": captions.language, "asked": asked},
            )

    def _tell_skipped(self, tally: "_Tally", kwargs: dict[str, Any]) -> None:
        skipped = [error for _, error in tally.failures if isinstance(error, _NotAsked)]
        if skipped:
            self.warn(
                kwargs,
                f"{len(skipped)} further videos were not asked for after that. Ingest them again later: captions that "
                "were read are kept for a day, and are not fetched twice when this job runs again.",
                {"videos": [_shown(video) for video, error in tally.failures if isinstance(error, _NotAsked)]},
            )


# -- Sources ----------------------------------------------------------------------------------------


def _named(kwargs: Mapping[str, Any]) -> list[str]:
    """What people typed into the two parameters that name videos."""
    further = kwargs.get("video_urls") or []
    return [str(kwargs.get("video_url") or ""), *map(str, [further] if isinstance(further, str) else further)]


def _text_of(path: Path) -> str:
    if path.stat().st_size > MAX_FILE:
        raise PluginError(
            "too_large",
            f"The file is larger than {MAX_FILE // 1024**2} MB, which is more than captions of a day have.",
            hint="Check that the right file was uploaded.",
        )
    data = path.read_bytes()
    return decode(data) if data.strip() or path.suffix.lower() in _SUBTITLES else ""


def _language(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs.get("language") or "").strip() or _DEFAULT_LANGUAGE


def _shown(video: Wanted) -> str:
    return video.video_id or video.address[:100]


class _NotAsked(PluginError):
    """The reason of an earlier video, for one that was not asked for because of it."""


class _Reader:
    """Reads videos one after the other: those that were kept, else from YouTube, as long as that makes sense."""

    def __init__(self, youtube: YouTube, kept: Kept, language: str) -> None:
        self._youtube = youtube
        self._kept = kept
        self._language = language
        self._asked = False
        self._in_vain = 0
        self._given_up: PluginError | None = None

    def read(self, video: Wanted) -> Captions:
        """:raises PluginError: why there is nothing to read"""
        if video.error:
            raise video.error
        key = key_of("youtube", video.video_id, self._language, KEPT_FORM)
        captions = _fresh(self._kept.get(key))
        if captions is None:
            captions = self._ask(video.video_id)
            if not captions.untranslated:  # the next try may get the translation
                self._kept.put(key, captions.as_json())
        return captions

    def _ask(self, video_id: str) -> Captions:
        if error := self._given_up:
            message = f"It was not asked for, because of one before it: {error.message}"
            raise _NotAsked(error.code, message, hint=error.hint, transient=error.transient)
        if self._asked:
            time.sleep(PAUSE_SECONDS)
        self._asked = True
        try:
            captions = self._youtube.captions(video_id, self._language)
        except PluginError as error:
            self._in_vain = self._in_vain + 1 if error.transient else 0
            if error.code in _CONCERN_ALL or self._in_vain >= MOST_IN_VAIN:
                self._given_up = error
            raise
        self._in_vain = 0
        return captions


def _fresh(entry: Any) -> Captions | None:
    """Captions that were kept, unless YouTube may have other ones by now."""
    if not isinstance(entry, dict):
        return None
    age = datetime.now(UTC) - datetime.fromisoformat(entry["retrieved"])
    return Captions.from_json(entry) if 0 <= age.total_seconds() < FRESH_SECONDS else None


# -- Chunks -----------------------------------------------------------------------------------------


def _common(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ingestion_plugin": YouTubeTranscriptIngest.name,
        "plugin_version": VERSION,
        "file_url": str(kwargs.get("file_url") or ""),
        "chunking_strategy": STRATEGY,
        "chunk_duration_target": kwargs.get("chunk_duration") or _DEFAULT_DURATION,
    }


def _metadata(captions: Captions, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_common(kwargs),
        "video_id": captions.video_id,
        "video_title": captions.title,
        "filename": captions.title,  # what citations show
        "language": captions.language,
        "subtitle_source": captions.kind,
        "retrieval_timestamp": captions.retrieved,
    }


def _chunk(passage: Passage, metadata: Mapping[str, Any], index: int, count: int) -> Chunk:
    file_url, video_id = metadata["file_url"], metadata.get("video_id")
    source = f"https://youtu.be/{video_id}?t={int(passage.start)}" if video_id else file_url
    own = {
        "source_url": source,
        "file_url": source if "://" in file_url else file_url,  # of a job without a file it names the first video only
        "start_time": round(passage.start, 3),
        "end_time": round(passage.end, 3),
        "start_timestamp": timestamp(passage.start),
        "end_timestamp": timestamp(passage.end),
        "original_text_sample": passage.original[:200],
        "chunk_index": index,
        "chunk_count": count,
    }
    return {"text": passage.text, "metadata": {**metadata, **own}}


@dataclass
class _Tally:
    """What came of a job, and what it cost. ``asked``: for how many videos or files"""

    asked: int
    read: int = 0
    sizes: list[int] = field(default_factory=list)
    failures: list[tuple[Wanted, PluginError]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    preview: str = ""

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began

    def chunks(self, title: str, cues: Sequence[Cue], metadata: Mapping[str, Any]) -> Iterator[Chunk]:
        """The chunks of one video or file."""
        with self.timing("chunking"):
            found = passages(tidy(cues), float(metadata["chunk_duration_target"]))
        self.read += 1
        if len(self.preview) < _PREVIEW_CHARACTERS:
            self.preview += f"## {title}\n\n" + "\n\n".join(passage.text for passage in found) + "\n\n"
        for index, passage in enumerate(found):
            self.sizes.append(len(passage.text))
            yield _chunk(passage, metadata, index, len(found))

    def error(self) -> PluginError:
        """Why nothing was read. When waiting may help for one of the videos, it is worth to wait."""
        errors = [error for _, error in self.failures]
        first = next((error for error in errors if error.transient), errors[0])
        if len(errors) == 1:
            return first
        message = f"None of the {len(errors)} videos could be read. {first.message}"
        return PluginError(first.code, message, hint=first.hint, transient=first.transient, context=first.context)

    def videos(self) -> dict[str, Any]:
        """How many were read, and why not the others."""
        failures = [
            {"video_id": _shown(video), "code": error.code, "message": error.message} for video, error in self.failures
        ]
        return {"requested": self.asked, "read": self.read, "failed": len(failures), "failures": failures}

    def stats(self) -> dict[str, Any]:
        """The job's ``processing_stats``, with the keys that LAMB's job window reads."""
        count, characters = len(self.sizes), sum(self.sizes)
        messages = {
            "chunking": counted(count, "chunk"),
            "fetching": f"{self.read} of {self.asked} videos",
        }
        return {
            "content_length": characters,
            "chunking_strategy": STRATEGY,
            "chunk_stats": {
                "count": count,
                "avg_size": round(characters / max(count, 1), 1),
                "min_size": min(self.sizes, default=0),
                "max_size": max(self.sizes, default=0),
            },
            "stage_timings": [
                {"stage": stage, "duration_ms": round(seconds * 1000), "message": messages.get(stage, "")}
                for stage, seconds in self.seconds.items()
            ],
            "markdown_preview": self.preview[:_PREVIEW_CHARACTERS],
        }
