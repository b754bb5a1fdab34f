"""Captions of YouTube videos: from an address to the words, and from each way to fail to a sentence that helps.

The requests are those of ``youtube-transcript-api``, sent through the address guard. What YouTube says beside the
captions (the title, the status of its last answer) is noted as it passes by, so that nothing is fetched twice.
"""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from youtube_transcript_api import (
    AgeRestricted,
    CouldNotRetrieveTranscript,
    FailedToCreateConsentCookie,
    FetchedTranscriptSnippet,
    InvalidVideoId,
    IpBlocked,
    NoTranscriptFound,
    PoTokenRequired,
    RequestBlocked,
    Transcript,
    TranscriptsDisabled,
    VideoUnavailable,
    VideoUnplayable,
    YouTubeRequestFailed,
    YouTubeTranscriptApi,
)

from plugins.base import PluginError
from plugins.guarded_requests import BodyTooLarge, GuardedSession, Limits, Proxy
from plugins.net import Guard, NameNotFound
from plugins.videos.languages import Nearness, language_of, nearness, rank
from plugins.videos.subtitles import Cue, without_noises

# -- Choosing ---------------------------------------------------------------------------------------

MANUAL, AUTOMATIC, TRANSLATED = "manual", "automatic", "translated"


@dataclass(frozen=True)
class Choice:
    """One transcript that could be read. ``kind``: manual, automatic or translated (by YouTube)"""

    transcript: Transcript
    kind: str


def choices(offered: Iterable[Transcript], language: str) -> list[Choice]:
    """What to read, best first.

    In *language*, in its script but of another region, translated, in another script; then in English; then in any.
    """
    tracks = list(offered)
    automatic = [track for track in tracks if track.is_generated]
    manual = [track for track in tracks if not track.is_generated]
    spoken = {language_of(track.language_code) for track in automatic}
    # Written in the language that is spoken, then recognised, then written in another.
    faithful = [track for track in manual if language_of(track.language_code) in spoken] + automatic + manual
    near = {step: _near(manual, language, step) + _near(automatic, language, step) for step in Nearness}
    ranked = [Choice(track, _kind(track)) for track in near[Nearness.ASKED] + near[Nearness.SCRIPT]]
    # of another script it is little more than another spelling
    ranked += _translations(near[Nearness.LANGUAGE] + faithful, language)
    english = _near(manual, "en") + _near(automatic, "en")
    ranked += [Choice(track, _kind(track)) for track in near[Nearness.LANGUAGE] + english + faithful]
    return list({(id(choice.transcript), choice.kind): choice for choice in ranked}.values())


def _kind(track: Transcript) -> str:
    return AUTOMATIC if track.is_generated else MANUAL


def _near(tracks: Iterable[Transcript], language: str, step: Nearness = Nearness.ASKED) -> list[Transcript]:
    """Those that come as near to *language* as *step*, the best first."""
    fitting = [track for track in tracks if nearness(track.language_code, language) == step]
    return sorted(fitting, key=lambda track: rank(track.language_code, language))


def _translations(sources: Iterable[Transcript], language: str) -> list[Choice]:
    """The first track that YouTube offers to translate; one is enough, for what it refuses it refuses for all."""
    for track in sources:
        codes = [offered.language_code for offered in track.translation_languages]
        target = min(codes, key=lambda code: rank(code, language), default="")
        if nearness(target, language) <= Nearness.SCRIPT:
            return [Choice(track.translate(target), TRANSLATED)]
    return []


# -- Reading ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Captions:
    """The captions of one video.

    :param language: code of what was really read
    :param kind: manual, automatic or translated
    :param retrieved: when, in UTC, as in ``2025-12-30T10:00:05Z``
    :param untranslated: whether a translation was offered but then refused
    """

    video_id: str
    title: str
    language: str
    kind: str
    cues: list[Cue]
    retrieved: str
    untranslated: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Captions":
        return cls(**{**value, "cues": [Cue(**cue) for cue in value["cues"]]})


class YouTube:
    """Reads captions, one video at a time. Use it as a context.

    :param proxy: address of a proxy, or empty
    :raises PluginError: ``bad_proxy``
    """

    def __init__(self, proxy: str = "", guard: Guard | None = None, limits: Limits | None = None) -> None:
        self._proxied = bool(proxy)
        self._session = GuardedSession(guard, limits, Proxy.parse(proxy) if proxy else None)
        self._session.hooks["response"].append(self._note)
        self._api = YouTubeTranscriptApi(http_client=self._session)
        self._now = Situation()

    def __enter__(self) -> "YouTube":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def captions(self, video_id: str, language: str) -> Captions:
        """The captions of a video in *language*, or in the next best that there are.

        :raises PluginError: see :func:`explained`; also of the guard and of the proxy
        """
        self._now = Situation(video_id, self._proxied)
        self._session.begin()
        with self._explaining():
            ranked = choices(self._api.list(video_id), language)
        refused = False
        for choice in ranked:
            try:
                with self._explaining():
                    cues = [_cue(snippet) for snippet in choice.transcript.fetch()]
            except PluginError:
                # YouTube often refuses translations to servers that may read all else.
                if choice.kind != TRANSLATED or choice is ranked[-1]:
                    raise
                refused = True
            else:
                if any(without_noises(cue.text) for cue in cues):
                    return self._captions(choice, cues, refused)
        raise _problem("no_captions", self._now)

    def _captions(self, choice: Choice, cues: list[Cue], refused: bool) -> Captions:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        video_id, title = self._now.video_id, self._now.title or self._now.video_id
        return Captions(video_id, title, choice.transcript.language_code, choice.kind, cues, now, refused)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.ProxyError as error:
            raise _proxy_failed(error) from None  # its text names the proxy
        except NameNotFound as error:
            raise _problem("youtube_unreachable", self._now) from error
        except _FAILURES as error:
            raise explained(error, self._now) from error

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Look at each answer on its way to the library."""
        now = self._now
        now.status, now.address = response.status_code, str(response.url)
        wait = response.headers.get("Retry-After", "")
        now.retry_after = int(wait) if re.fullmatch(r"\d{1,6}", wait) else None
        if urlsplit(now.address).path == "/youtubei/v1/player":
            with suppress(ValueError, LookupError, TypeError):
                now.title = " ".join(str(response.json()["videoDetails"]["title"]).split())[:200]


def _cue(snippet: FetchedTranscriptSnippet) -> Cue:
    start, length = max(snippet.start, 0.0), max(snippet.duration, 0.0)
    if not math.isfinite(start + length):
        raise ValueError("a time that is no number")
    return Cue(start, start + length, snippet.text)


# -- What went wrong --------------------------------------------------------------------------------

_UPLOAD = "If you have the captions as a file, upload it as .srt or .vtt."
_AGAIN = "It is tried again by itself for a while."
_WAY_ROUND = (
    f"{_AGAIN} Otherwise upload the captions as an .srt file (those of your own videos are in YouTube Studio), or set "
    "proxy_url to a proxy that YouTube does not block."
)


@dataclass(frozen=True)
class _Words:
    """How a failure is put. ``{video}`` is the video, ``{us}`` is whom YouTube sees."""

    sentence: str
    hint: str
    transient: bool = False


_WORDS = {
    "youtube_blocked": _Words(
        "YouTube blocks the address of {us}, so {video} could not be read. Its captions may well exist.",
        _WAY_ROUND,
        transient=True,
    ),
    "youtube_rate_limited": _Words(
        "YouTube has had too many requests from {us}, so {video} was not read yet.",
        f"{_AGAIN} Name fewer videos at once, or upload the captions as .srt.",
        transient=True,
    ),
    "youtube_empty": _Words(
        "YouTube answered with empty captions for {video}, as it does when it mistrusts {us}.",
        _WAY_ROUND,
        transient=True,
    ),
    "youtube_timeout": _Words("YouTube did not answer in time for {video}.", _AGAIN, transient=True),
    "youtube_failed": _Words("YouTube has a problem of its own, so {video} was not read.", _AGAIN, transient=True),
    "youtube_unreachable": _Words(
        "The connection to YouTube failed while {video} was read.",
        f"{_AGAIN} If it stays so: can the server reach www.youtube.com?",
        transient=True,
    ),
    "youtube_consent": _Words(
        "YouTube asks for consent to cookies before it shows {video}, and did not take it.",
        f"Retry it later, or set proxy_url to a proxy outside of Europe. {_UPLOAD}",
    ),
    "youtube_token_required": _Words(
        "YouTube gives the captions of {video} only to its own players.",
        f"Those of your own videos are in YouTube Studio. {_UPLOAD}",
    ),
    "youtube_changed": _Words(
        "YouTube's answer for {video} has a form that this server does not know.",
        f"The operator should update the package youtube-transcript-api. {_UPLOAD}",
    ),
    "captions_disabled": _Words(
        "{video} has no captions, neither written nor automatic ones.",
        f"Turn captions on in YouTube Studio, and retry. {_UPLOAD}",
    ),
    "no_captions": _Words("{video} has no captions with words in them.", _UPLOAD),
    "video_private": _Words(
        "{video} is private.", f"Set it to unlisted or public in YouTube Studio, and retry. {_UPLOAD}"
    ),
    "video_age_restricted": _Words(
        "{video} is shown only to people who have proved their age, which a server cannot.", _UPLOAD
    ),
    "video_not_found": _Words(
        "{video} does not exist, or was removed.",
        "Open its address in a browser. If it plays there, copy the address again.",
    ),
    "video_unplayable": _Words(
        "{video} cannot be played. YouTube says: {reason}.",
        f"Does it play in a private window of a browser? If not, it cannot be read either. {_UPLOAD}",
    ),
    "invalid_video": _Words("{video} is none that YouTube knows.", "Copy the whole address from a browser."),
    "too_large": _Words("YouTube's answer for {video} is too large to be captions.", _UPLOAD),
    "tls_failed": _Words(
        "The connection to YouTube is not secure: its certificate cannot be verified.",
        "If your network inspects connections, the operator sets SSL_CERT_FILE to its certificates.",
    ),
}

_OTHER_FORM = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    SyntaxError,
)  # raised over an answer in no known form
_FAILURES = (CouldNotRetrieveTranscript, requests.RequestException, *_OTHER_FORM)
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (RequestBlocked, "youtube_blocked"),
    (TranscriptsDisabled, "captions_disabled"),
    (NoTranscriptFound, "no_captions"),
    (VideoUnavailable, "video_not_found"),
    (AgeRestricted, "video_age_restricted"),
    (InvalidVideoId, "invalid_video"),
    (FailedToCreateConsentCookie, "youtube_consent"),
    (PoTokenRequired, "youtube_token_required"),
    (BodyTooLarge, "too_large"),
    (requests.exceptions.SSLError, "tls_failed"),
    (requests.exceptions.Timeout, "youtube_timeout"),
    (requests.exceptions.TooManyRedirects, "youtube_changed"),
    (ValueError, "youtube_changed"),  # among them no JSON, and redirects to no address
    (requests.RequestException, "youtube_unreachable"),
)
# YouTube's reasons are in English, since the library asks for that. Their wording varies with the client.
_REASONS = (
    (r"not a bot|unusual traffic", "youtube_blocked"),
    (r"try again later|rate.?limited", "youtube_rate_limited"),
    (r"\bprivate\b", "video_private"),
    (r"confirm your age|age.restricted|inappropriate for some users", "video_age_restricted"),
    (
        r"^(this )?video (is |is not |isn.t )?(un)?available\.?$|no longer available|available any ?more",
        "video_not_found",
    ),
    (r"removed by|been removed|terminated|does not exist", "video_not_found"),
)
_TOO_SLOW = re.compile(r"timed out|time for all requests", re.I)


@dataclass
class Situation:
    """What is known about a video and the requests for it, of which the last one failed.

    :param proxied: whether they went through a proxy
    :param title: of the video, once it is known
    :param status: of YouTube's last answer; 0 when there was none
    :param address: where that answer came from
    :param retry_after: seconds that it asks to wait
    """

    video_id: str = ""
    proxied: bool = False
    title: str = ""
    status: int = 0
    address: str = ""
    retry_after: int | None = None

    def __str__(self) -> str:
        """The video, within a sentence."""
        return f"the video “{self.title[:80]}” ({self.video_id})" if self.title else f"the video {self.video_id}"


def explained(error: Exception, at: Situation) -> PluginError:
    """*error* of the library or of its connection, in words for the person who asked for the video."""
    reason = _reason(error)
    problem = _problem(_code(error, reason, at), at, reason)
    if problem.transient and at.retry_after:
        problem.context["retry_after"] = at.retry_after
    return problem


def _problem(code: str, at: Situation, reason: str = "") -> PluginError:
    words = _WORDS[code]
    us = "the proxy" if at.proxied else "this server"
    said = words.sentence.format(video=at, us=us, reason=reason[:200].rstrip(".") or "nothing more")
    return PluginError(code, said[0].upper() + said[1:], hint=words.hint, transient=words.transient)


def _reason(error: Exception) -> str:
    """Why YouTube does not play the video, in its own words."""
    if not isinstance(error, VideoUnplayable):
        return ""
    said = [str(part) for part in (error.reason, *error.sub_reasons) if part]
    return " ".join(". ".join(said).split())


def _code(error: Exception, reason: str, at: Situation) -> str:
    match error:
        case IpBlocked() if at.status == 429 and "/sorry/" not in at.address:
            return "youtube_rate_limited"  # the other 429 asks for a captcha
        case VideoUnplayable():
            return next((code for words, code in _REASONS if re.search(words, reason, re.I)), "video_unplayable")
        case YouTubeRequestFailed():
            return (
                "youtube_blocked" if at.status == 403 else "youtube_failed" if at.status >= 500 else "youtube_changed"
            )
        case SyntaxError() if "no element found: line 1, column 0" in str(error):
            return "youtube_empty"
        case requests.ConnectionError() if _TOO_SLOW.search(str(error)):
            return "youtube_timeout"  # in the middle of a body
    return next((code for kind, code in _CODES if isinstance(error, kind)), "youtube_changed")


_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


def _proxy_failed(error: requests.RequestException) -> PluginError:
    status = _TUNNEL.search(str(error))
    refused = status is not None and status[1] in {"401", "403", "407"}
    return PluginError(
        "proxy_failed",
        f"The proxy did not let the request through (error {status[1]})." if status else "The proxy does not answer.",
        hint="Check proxy_url, with its user name and password." if refused else "Check proxy_url, and that it runs.",
        transient=not refused,
    )
