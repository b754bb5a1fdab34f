"""Videos by their captions, through the library's own HTTP, from a server that answers as YouTube does."""

import json
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugins import youtube_transcript_ingest as module
from plugins.base import PluginError
from plugins.guarded_requests import Limits
from plugins.host_client import Done
from plugins.host_errors import describe_error
from plugins.kept import Kept, key_of
from plugins.net import Guard
from plugins.parameters import validate
from plugins.videos.youtube import YouTube as Reader
from plugins.youtube_transcript_ingest import MAX_FILE, MAX_VIDEOS, YouTubeTranscriptIngest
from tests.support.youtube import (
    AGE,
    BOT,
    PLAYER,
    RECAPTCHA,
    SORRY,
    TIMEDTEXT,
    TRANSLATION,
    WATCH,
    Fault,
    Track,
    Video,
    YouTube,
    spoken,
)

ID, OTHER, THIRD = "dQw4w9WgXcQ", "_-aB3_-xY0k", "ThirdVideo_"
LINES = spoken("Good <i>morning</i>", "[Music]", "water & stones", "it's   warm", every=20.0)
ENGLISH = Track("en", LINES)
LOGIN = "LOGIN_REQUIRED"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with YouTube(tmp_path_factory.mktemp("youtube")) as running:
        yield running


@pytest.fixture(autouse=True)
def youtube(server, monkeypatch):
    """YouTube as this test wants it, which begins with one video that can be read."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
    monkeypatch.setenv("KB_FETCH_ALLOW_PRIVATE", "127.0.0.0/8")
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    server.reset()
    server.videos = {ID: Video("Gardens: water & stones", (ENGLISH,))}
    return server


class Job:
    """What one run of the plugin left behind."""

    def __init__(self, path, **kwargs):
        self.chunks, self.progress, self.warnings, self.stats = [], [], [], {}
        callbacks = {
            "progress_callback": lambda *step: self.progress.append(step),
            "warning_callback": lambda message, data=None: self.warnings.append((message, data)),
            "stats_callback": self.stats.update,
        }
        for chunk in YouTubeTranscriptIngest().ingest(str(path), **(callbacks | kwargs)):
            self.chunks.append(chunk)

    @property
    def metadata(self):
        return [chunk["metadata"] for chunk in self.chunks]

    @property
    def languages(self):
        return {(metadata["language"], metadata["subtitle_source"]) for metadata in self.metadata}


@pytest.fixture
def ingest(youtube, tmp_path):
    def run(path=tmp_path, **kwargs):
        return Job(path, **{"proxy_url": youtube.proxy, "kept_folder": str(tmp_path / "kept"), **kwargs})

    return run


@pytest.fixture
def failure(ingest):
    """The error with which a run ends."""

    def run(*args, **kwargs):
        with pytest.raises(PluginError) as caught:
            ingest(*args, **kwargs)
        return caught.value

    return run


# -- One video --------------------------------------------------------------------------------------


def test_a_video_becomes_chunks_that_link_to_their_moment(ingest):
    job = ingest(video_url=f"https://youtu.be/{ID}?t=9", chunk_duration=60, file_url="/static/a/b/c.txt")
    assert [chunk["text"] for chunk in job.chunks] == ["Good morning water & stones", "it's warm"]
    first, last = job.metadata
    assert first | {"retrieval_timestamp": ""} == {
        "ingestion_plugin": "youtube_transcript_ingest",
        "plugin_version": "1.0.0",
        "source_url": f"https://youtu.be/{ID}?t=0",
        "file_url": "/static/a/b/c.txt",
        "video_id": ID,
        "video_title": "Gardens: water & stones",
        "filename": "Gardens: water & stones",
        "language": "en",
        "subtitle_source": "manual",
        "start_time": 0.0,
        "end_time": 60.0,
        "start_timestamp": "00:00:00",
        "end_timestamp": "00:01:00",
        "chunk_duration_target": 60,
        "chunking_strategy": "duration",
        "original_text_sample": "Good morning water & stones",
        "retrieval_timestamp": "",
        "chunk_index": 0,
        "chunk_count": 2,
    }
    assert (last["source_url"], last["chunk_index"]) == (f"https://youtu.be/{ID}?t=60", 1)
    assert datetime.fromisoformat(first["retrieval_timestamp"]) <= datetime.now(UTC)
    assert first["retrieval_timestamp"].endswith("Z")


def test_without_an_upload_each_chunk_cites_its_own_video(ingest, youtube):
    youtube.videos[OTHER] = Video("Other", (ENGLISH,))
    job = ingest(video_urls=[ID, OTHER], file_url=f"https://youtu.be/{ID}")
    assert all(metadata["file_url"] == metadata["source_url"] for metadata in job.metadata)


def test_the_job_is_told_what_happens_and_what_came_of_it(ingest):
    job = ingest(video_url=ID)
    assert job.progress[0] == (0, 1, f"Fetching transcript of {ID}...")
    assert job.progress[-1][:2] == (1, 1)
    assert job.stats["chunk_stats"] == {"count": 2, "avg_size": 18.0, "min_size": 9, "max_size": 27}
    assert job.stats["videos"] == {"requested": 1, "read": 1, "failed": 0, "failures": []}
    assert job.stats["content_length"] == 36
    assert job.stats["markdown_preview"].startswith("## Gardens: water & stones\n\nGood morning")
    assert [stage["stage"] for stage in job.stats["stage_timings"]] == ["fetching", "chunking"]
    assert not job.warnings
    json.dumps(job.stats)


def test_a_video_costs_three_requests_and_its_title_none(ingest, youtube):
    ingest(video_url=ID)
    assert youtube.paths() == [WATCH, PLAYER, TIMEDTEXT]


def test_a_video_without_a_title_is_called_by_its_id(ingest, youtube):
    answer = {"playabilityStatus": {"status": "OK"}, "captions": {}}
    youtube.videos[ID] = Video(tracks=(ENGLISH,), title="")
    assert ingest(video_url=ID).metadata[0]["video_title"] == ID
    youtube.faults[PLAYER] = Fault(body=json.dumps(answer))
    with pytest.raises(PluginError, match=f"The video {ID} has no captions"):
        ingest(video_url=ID, language="fr")


def test_the_catalogue_says_what_forms_need():
    plugin = YouTubeTranscriptIngest()
    specs = plugin.get_parameters()
    assert "url" not in (plugin.name + plugin.description).lower()  # LAMB's forms look for the only one
    assert "default" not in specs["video_url"]
    assert {name: spec.get("default") for name, spec in specs.items() if spec.get("default")} == {
        "language": "en",
        "chunk_duration": 60,
    }
    assert specs["_manual_subtitles_fallback"]["type"] == "info"
    clean, errors = validate(specs, {"video_url": ID, "chunk_duration": "90", "video_urls": f"{OTHER}\n{THIRD}"})
    assert (clean["chunk_duration"], clean["video_urls"], errors) == (90.0, [OTHER, THIRD], [])


def test_it_works_in_a_real_plugin_host(start_host, request_for, youtube, tmp_path):
    env = {"SSL_CERT_FILE": str(youtube.ca_file), "KB_FETCH_ALLOW_PRIVATE": "127.0.0.0/8"}
    host = start_host(modules=("plugins.youtube_transcript_ingest",), env=env)
    params = {"video_url": ID, "proxy_url": youtube.proxy, "language": "en", "chunk_duration": 60}
    reports = list(host.run(request_for("youtube_transcript_ingest", params=params)))
    done = next(report for report in reports if isinstance(report, Done))
    assert done.chunks == 2
    assert "Gardens" in (tmp_path / "spool.jsonl").read_text()


# -- Where addresses come from ----------------------------------------------------------------------


def test_the_placeholder_that_lamb_uploads_names_the_video(ingest, tmp_path):
    placeholder = tmp_path / "0123.txt"
    placeholder.write_text(f"https://www.youtube.com/watch?v={ID}")
    assert ingest(placeholder, original_filename="yt:gardens.txt").metadata[0]["video_id"] == ID


def test_a_file_of_addresses_is_a_list_of_videos_and_parameters_win(ingest, youtube, tmp_path):
    youtube.videos[OTHER] = Video("Other", (ENGLISH,))
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"\ufeff# course\r\nhttps://youtu.be/{ID}\r\nhttps://youtu.be/{OTHER}\r\n".encode("utf-16"))
    assert {metadata["video_id"] for metadata in ingest(listed).metadata} == {ID, OTHER}
    assert {metadata["video_id"] for metadata in ingest(listed, video_url=OTHER).metadata} == {OTHER}


@pytest.mark.parametrize("text", [None, "", " \n", "# nothing here\n"])
def test_without_any_address_the_job_says_so(failure, tmp_path, text):
    path = tmp_path
    if text is not None:
        path = tmp_path / "empty.txt"
        path.write_text(text)
    assert failure(path, video_url="", video_urls=[]).code == "no_address"


def test_a_list_can_be_too_long(failure, youtube):
    ids = [f"video{number:06d}" for number in range(MAX_VIDEOS + 1)]
    assert failure(video_urls=ids).code == "too_many_videos"
    assert not youtube.requests


def test_playlists_are_refused_with_their_reason(failure):
    error = failure(video_url="https://www.youtube.com/playlist?list=PL1234567890")
    assert (error.code, error.transient) == ("unsupported_address", False)


# -- Languages --------------------------------------------------------------------------------------

HEARD = Track("en", spoken("heard"), automatic=True)
GERMAN = Track("de", spoken("hallo"))
GERMAN_HEARD = Track("de", spoken("gehört"), automatic=True)
BRITISH = Track("en-GB", spoken("colour"))
HEBREW = Track("iw", spoken("שלום"))
FIXED = Track("fr", spoken("bonjour"), translatable=False)
SIMPLIFIED = Track("zh-Hans", spoken("汉语"))
TRADITIONAL = Track("zh-Hant", spoken("漢語"))
TAIWANESE = Track("zh-TW", spoken("國語"))
CHINESE = Track("zh", spoken("中文"))
BRAZILIAN = Track("pt-BR", spoken("ônibus"))
PORTUGUESE = Track("pt-PT", spoken("autocarro"))
SERBIAN = Track("sr", spoken("Добар дан"))
SERBIAN_LATIN = Track("sr-Latn", spoken("Dobar dan"))


@pytest.mark.parametrize(
    ("tracks", "asked", "language", "kind", "warned"),
    [
        ((HEARD, ENGLISH, GERMAN), "en", "en", "manual", False),
        ((HEARD, GERMAN), "en", "en", "automatic", False),
        ((GERMAN, BRITISH), "en", "en-GB", "manual", False),
        ((BRITISH, ENGLISH), "en", "en", "manual", False),
        ((BRITISH, ENGLISH), "en-US", "en", "manual", False),
        ((BRITISH, HEARD), "en_gb", "en-GB", "manual", False),
        ((HEBREW, FIXED), "he", "iw", "manual", False),
        ((GERMAN_HEARD,), "es", "es", "translated", False),
        ((FIXED, HEARD), "de", "de", "translated", False),
        ((FIXED, ENGLISH), "it", "en", "manual", True),
        ((FIXED, HEARD), "it", "en", "automatic", True),
        ((FIXED,), "it", "fr", "manual", True),
        ((GERMAN, FIXED), "ja", "de", "manual", True),
        ((SIMPLIFIED, TRADITIONAL), "zh-Hant", "zh-Hant", "manual", False),
        ((SIMPLIFIED, CHINESE, TAIWANESE), "zh-Hant", "zh-TW", "manual", False),
        ((TRADITIONAL, SIMPLIFIED), "zh-CN", "zh-Hans", "manual", False),
        ((TRADITIONAL, SIMPLIFIED), "zh", "zh-Hans", "manual", False),
        ((TAIWANESE,), "zh", "zh-TW", "manual", False),
        ((HEARD, SIMPLIFIED), "zh-Hant", "zh-Hans", "manual", True),
        ((CHINESE,), "zh_TW", "zh", "manual", True),
        ((PORTUGUESE, BRAZILIAN), "pt-BR", "pt-BR", "manual", False),
        ((BRAZILIAN, PORTUGUESE), "PT-pt", "pt-PT", "manual", False),
        ((PORTUGUESE, Track("pt-BR", spoken("ônibus"), automatic=True)), "pt-BR", "pt-BR", "automatic", False),
        ((PORTUGUESE,), "pt-BR", "pt-PT", "manual", False),
        ((SERBIAN_LATIN, SERBIAN), "sr-Cyrl", "sr", "manual", False),
        ((SERBIAN, SERBIAN_LATIN), "sr-Latn", "sr-Latn", "manual", False),
        ((SERBIAN, HEARD), "sr-Latn", "sr", "manual", True),
        ((SERBIAN_LATIN, SERBIAN), "sr", "sr", "manual", False),
        ((BRITISH, HEARD), "en", "en-GB", "manual", False),
    ],
)
def test_the_language_falls_back_in_the_order_of_the_contract(ingest, youtube, tracks, asked, language, kind, warned):
    youtube.videos[ID] = Video("Talk", tracks)
    job = ingest(video_url=ID, language=asked)
    assert job.languages == {(language, kind)}
    assert bool(job.warnings) is warned
    if warned:
        assert language in job.warnings[0][0]
        assert asked in job.warnings[0][0]


def test_a_translation_into_the_script_that_was_asked_for_is_made_of_the_other_script(ingest, youtube):
    offered = ("zh-Hans", "zh-Hant", "es")
    youtube.videos[ID] = Video("Talk", (HEARD, SIMPLIFIED), translations=offered)
    job = ingest(video_url=ID, language="zh-Hant")
    assert (job.languages, job.chunks[0]["text"]) == ({("zh-Hant", "translated")}, "zh-Hant: 汉语")
    assert not job.warnings
    youtube.videos[ID] = Video("Talk", (HEARD, SIMPLIFIED), translations=("zh-Hans",))
    job = ingest(video_url=ID, language="zh-TW")
    assert job.languages == {("zh-Hans", "manual")}
    assert "since there are none in 'zh-TW'" in job.warnings[0][0]


def test_a_translation_is_made_of_what_was_written_in_the_language_that_is_spoken(ingest, youtube):
    youtube.videos[ID] = Video("Talk", (GERMAN, BRITISH, HEARD))
    assert ingest(video_url=ID, language="es").chunks[0]["text"] == "es: colour"


@pytest.mark.parametrize("fault", [Fault(429), Fault(403), Fault(), Fault(body="<html>no XML")])
def test_a_translation_that_youtube_refuses_gives_way_to_the_original(ingest, youtube, fault):
    youtube.videos[ID] = Video("Talk", (HEARD,))
    youtube.faults[TRANSLATION] = fault
    job = ingest(video_url=ID, language="es")
    assert job.languages == {("en", "automatic")}
    assert "refused to translate" in job.warnings[0][0]
    youtube.faults.clear()
    assert ingest(video_url=ID, language="es").languages == {("es", "translated")}  # a retry may get it


def test_captions_without_words_give_way_to_others(ingest, youtube):
    youtube.videos[ID] = Video("Talk", (Track("en", spoken("[Music]", "♪")), HEARD))
    assert ingest(video_url=ID).languages == {("en", "automatic")}


# -- Each way to fail -------------------------------------------------------------------------------

PRIVATE = "This is a private video. Please sign in to verify that you may see it."
PLAINLY = "Sign in to confirm you're not a bot"
ELSEWHERE = "The uploader has not made this video available in your country"
REMOVED = "This video has been removed by the uploader"
LATER = "This content isn't available, try again later."
ENTITIES = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
BLOCKED, LIMITED, CHANGED, UNPLAYABLE = "youtube_blocked", "youtube_rate_limited", "youtube_changed", "video_unplayable"


def faulty(path, **fault):
    return Video(tracks=(ENGLISH,), faults={path: Fault(**fault)})


def to(address):
    return faulty(WATCH, status=302, headers={"Location": address})


FAILURES = {
    "bot": (Video(status=LOGIN, reason=BOT), BLOCKED, True),
    "bot, plainly quoted": (Video(status=LOGIN, reason=PLAINLY), BLOCKED, True),
    "captcha": (faulty(WATCH, body=RECAPTCHA), BLOCKED, True),
    "sorry": (to(f"https://www.google.com{SORRY}"), BLOCKED, True),
    "forbidden": (faulty(TIMEDTEXT, status=403), BLOCKED, True),
    "429 of the page": (faulty(WATCH, status=429), LIMITED, True),
    "429 of the player": (faulty(PLAYER, status=429), LIMITED, True),
    "429 of the captions": (faulty(TIMEDTEXT, status=429), LIMITED, True),
    "later": (Video(status="ERROR", reason=LATER), LIMITED, True),
    "empty": (faulty(TIMEDTEXT), "youtube_empty", True),
    "error 503": (faulty(PLAYER, status=503), "youtube_failed", True),
    "cut off": (faulty(TIMEDTEXT, kind="cut"), "youtube_unreachable", True),
    "no captions": (Video(), "captions_disabled", False),
    "no words": (Video(tracks=(Track("en", ()),)), "no_captions", False),
    "private": (Video(status=LOGIN, reason=PRIVATE), "video_private", False),
    "age": (Video(status=LOGIN, reason=AGE), "video_age_restricted", False),
    "age of the web": (Video(status=LOGIN, reason="Sign in to confirm your age"), "video_age_restricted", False),
    "unknown": (None, "video_not_found", False),
    "removed": (Video(status="ERROR", reason="Video unavailable", subreason=REMOVED), "video_not_found", False),
    "gone": (Video(status="ERROR", reason="This video isn't available anymore"), "video_not_found", False),
    "elsewhere": (Video(status="UNPLAYABLE", reason="Video unavailable", subreason=ELSEWHERE), UNPLAYABLE, False),
    "members": (Video(status="UNPLAYABLE", reason="Join this channel to get access"), UNPLAYABLE, False),
    "not begun": (Video(status="LIVE_STREAM_OFFLINE", reason="Premieres in 2 hours"), UNPLAYABLE, False),
    "no reason": (Video(status="UNPLAYABLE"), UNPLAYABLE, False),
    "token": (Video(tracks=(Track("en", LINES, more="&exp=xpe"),)), "youtube_token_required", False),
    "other page": (faulty(WATCH, body="<html>A new YouTube"), CHANGED, False),
    "no JSON": (faulty(PLAYER, body="<html>"), CHANGED, False),
    "other JSON": (faulty(PLAYER, body="[]"), CHANGED, False),
    "error 400": (faulty(PLAYER, status=400), CHANGED, False),
    "no XML": (faulty(TIMEDTEXT, body="<html><p>"), CHANGED, False),
    "entities": (faulty(TIMEDTEXT, body=ENTITIES), CHANGED, False),
    "strange times": (Video(tracks=(Track("en", ((float("inf"), 1.0, "x"),)),)), CHANGED, False),
    "a redirect to a file": (to("file:///etc/passwd"), CHANGED, False),
    "a redirect inside": (to("https://169.254.169.254/latest/"), "address_blocked", False),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_way_to_fail_has_its_code_its_sentence_and_a_way_out(failure, youtube, case):
    video, code, transient = FAILURES[case]
    youtube.videos = {ID: video} if video else {}
    error = failure(video_url=ID)
    assert (error.code, error.transient) == (code, transient)
    assert error.message.endswith(".")
    assert len(error.message) < 255
    assert len(error.hint) > 20


def test_a_blocked_server_is_never_told_that_captions_are_disabled(failure, youtube):
    youtube.videos[ID] = Video("Talk", status=LOGIN, reason=BOT)
    error = failure(video_url=ID)
    assert "blocks the address" in error.message
    assert "disabled" not in error.message + error.hint
    assert ".srt" in error.hint
    assert "proxy_url" in error.hint


def test_what_youtube_says_and_asks_is_passed_on(failure, youtube):
    youtube.videos[ID] = Video("Talk", status="UNPLAYABLE", reason="Video unavailable", subreason=ELSEWHERE)
    assert f"{ELSEWHERE}." in failure(video_url=ID).message
    youtube.faults[WATCH] = Fault(429, headers={"Retry-After": "90"})
    assert failure(video_url=ID).context["retry_after"] == 90


def test_consent_to_cookies_is_given_once_and_not_for_ever(ingest, failure, youtube):
    youtube.consent = "asks"
    youtube.videos[OTHER] = Video("Other", (ENGLISH,))
    assert len(ingest(video_urls=[ID, OTHER]).chunks) == 4
    assert youtube.paths() == [WATCH, WATCH, PLAYER, TIMEDTEXT, WATCH, PLAYER, TIMEDTEXT]
    for manner in ("insists", "formless"):
        youtube.consent = manner
        assert failure(video_url=THIRD).code == "youtube_consent"


@pytest.mark.parametrize(
    ("kind", "code"), [("drip", "youtube_timeout"), ("silent", "youtube_timeout"), ("huge", "too_large")]
)
@pytest.mark.parametrize("path", [WATCH, TIMEDTEXT])
def test_an_answer_without_end_ends_in_time(youtube, kind, code, path):
    youtube.faults[path] = Fault(kind=kind)
    limits = Limits(content_bytes=2_000_000, seconds=0.6, silence_seconds=0.3)
    began = time.monotonic()
    with Reader(youtube.proxy, limits=limits) as reader, pytest.raises(PluginError) as caught:
        reader.captions(ID, "en")
    assert caught.value.code == code
    assert time.monotonic() - began < 3


def test_a_server_without_a_network_is_told_so_and_waits():
    def nothing(host, port):
        raise OSError("no network")

    with Reader(guard=Guard(resolve=nothing)) as reader, pytest.raises(PluginError) as caught:
        reader.captions(ID, "en")
    assert (caught.value.code, caught.value.transient) == ("youtube_unreachable", True)


# -- Proxies ----------------------------------------------------------------------------------------


def test_a_proxy_may_ask_for_a_password(ingest, youtube):
    youtube.credentials = "me:s@fe"
    assert ingest(video_url=ID, proxy_url=youtube.proxy.replace("//", "//me:s%40fe@")).chunks


def proxies(youtube):
    return {
        "inside": (youtube.proxy, {"KB_FETCH_ALLOW_PRIVATE": ""}, "address_blocked", False),
        "password": (youtube.proxy.replace("//", "//me:hunter22@"), {}, "proxy_failed", False),
        "unknown": ("http://me:hunter22@no-such-proxy.invalid:8080", {}, "proxy_failed", True),
        "not there": ("http://me:hunter22@127.0.0.1:9", {}, "proxy_failed", True),
        "socks": ("socks5://me:hunter22@127.0.0.1:1080", {}, "bad_proxy", False),
        "nonsense": ("http://me:hunter22@", {}, "bad_proxy", False),
    }


@pytest.mark.parametrize("case", ["inside", "password", "unknown", "not there", "socks", "nonsense"])
def test_an_error_of_the_proxy_is_told_without_its_address(failure, youtube, monkeypatch, case):
    proxy, env, code, transient = proxies(youtube)[case]
    youtube.credentials = "somebody:else"
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    error = failure(video_url=ID, proxy_url=proxy)
    assert (error.code, error.transient) == (code, transient)
    told = json.dumps(describe_error(error, {"plugin": "youtube_transcript_ingest"})) + "".join(
        traceback.format_exception(error)
    )
    for secret in ("hunter22", "no-such-proxy", "127.0.0.1"):
        assert secret not in told


def test_a_certificate_that_nobody_vouches_for_is_refused(failure, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert failure(video_url=ID).code == "tls_failed"


# -- Several videos ---------------------------------------------------------------------------------


def test_a_video_that_fails_is_a_warning_beside_those_that_were_read(ingest, youtube):
    youtube.videos |= {OTHER: Video("Mine", status=LOGIN, reason=PRIVATE), THIRD: Video("Third", (ENGLISH,))}
    job = ingest(video_urls=[f"https://youtu.be/{ID}", OTHER, "https://vimeo.com/1", THIRD, ID])
    assert [metadata["video_id"] for metadata in job.metadata] == [ID, ID, THIRD, THIRD]
    assert [metadata["chunk_index"] for metadata in job.metadata] == [0, 1, 0, 1]
    assert [step[:2] for step in job.progress] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert [data["code"] for _, data in job.warnings] == ["video_private", "unsupported_address"]
    videos = job.stats["videos"]
    assert (videos["requested"], videos["read"], videos["failed"]) == (4, 2, 2)
    assert videos["failures"][0]["video_id"] == OTHER
    assert "is private" in videos["failures"][0]["message"]


def test_of_a_single_video_the_job_tells_by_itself(youtube, tmp_path):
    told = []
    with pytest.raises(PluginError):
        Job(tmp_path, video_url=OTHER, proxy_url=youtube.proxy, warning_callback=lambda *warning: told.append(warning))
    assert not told


def test_when_nothing_was_read_the_job_fails_with_the_first_reason(failure, youtube):
    youtube.videos = {ID: Video("Mine", status=LOGIN, reason=PRIVATE)}
    error = failure(video_urls=[ID, OTHER])
    assert (error.code, error.transient) == ("video_private", False)
    assert error.message.startswith("None of the 2 videos could be read. ")


def test_when_waiting_may_help_for_one_of_the_videos_the_job_waits(failure, youtube):
    youtube.videos = {ID: Video("Mine", status=LOGIN, reason=PRIVATE), OTHER: Video(faults={WATCH: Fault(429)})}
    error = failure(video_urls=[ID, OTHER])
    assert (error.code, error.transient) == ("youtube_rate_limited", True)


def test_once_blocked_youtube_is_not_asked_for_the_rest(ingest, youtube):
    """More requests would only make it worse. What was read is stored, and the diary says what is missing."""
    youtube.videos |= {OTHER: Video("Other", status=LOGIN, reason=BOT), THIRD: Video("Third", (ENGLISH,))}
    job = ingest(video_urls=[ID, OTHER, THIRD, "FourthVideo"])
    assert {metadata["video_id"] for metadata in job.metadata} == {ID}
    assert not any(THIRD in request for request in youtube.requests)
    failures = job.stats["videos"]["failures"]
    assert [failed["code"] for failed in failures] == ["youtube_blocked"] * 3
    assert [failed["message"].startswith("It was not asked for") for failed in failures] == [False, True, True]
    assert len(job.warnings) == 2
    assert job.warnings[1][0].startswith("2 further videos were not asked for")
    assert job.warnings[1][1] == {"videos": [THIRD, "FourthVideo"]}


def test_a_network_that_is_down_is_not_tried_for_every_video(failure, youtube):
    youtube.faults[WATCH] = Fault(503)
    error = failure(video_urls=[f"video{number:06d}" for number in range(20)])
    assert (error.code, error.transient) == ("youtube_failed", True)
    assert len(youtube.requests) == module.MOST_IN_VAIN


def test_there_is_a_pause_between_videos_that_are_fetched(ingest, youtube, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.3)
    youtube.videos[OTHER] = Video("Other", (ENGLISH,))
    began = time.monotonic()
    ingest(video_urls=[ID, OTHER])
    assert time.monotonic() - began > 0.3
    began = time.monotonic()
    ingest(video_urls=[ID, OTHER])  # kept
    assert time.monotonic() - began < 0.3


# -- Kept captions ----------------------------------------------------------------------------------


def test_a_run_with_another_duration_fetches_nothing_again(ingest, youtube):
    first = ingest(video_url=ID, chunk_duration=60)
    asked = len(youtube.requests)
    again = ingest(video_url=ID, chunk_duration=10)
    assert len(youtube.requests) == asked
    assert len(again.chunks) == 3
    assert again.metadata[0]["retrieval_timestamp"] == first.metadata[0]["retrieval_timestamp"]
    assert again.metadata[0]["video_title"] == "Gardens: water & stones"
    ingest(video_url=ID, language="es")
    assert len(youtube.requests) > asked


def test_a_retry_goes_on_with_the_videos_that_are_missing(ingest, failure, youtube):
    youtube.videos[OTHER] = Video("Other", (ENGLISH,), faults={WATCH: Fault(429)})
    assert len(ingest(video_urls=[ID, OTHER]).chunks) == 2
    youtube.videos[OTHER] = Video("Other", (ENGLISH,))
    youtube.requests.clear()
    assert len(ingest(video_urls=[OTHER, ID]).chunks) == 4
    assert not any(ID in request for request in youtube.requests)


def test_kept_captions_are_read_although_youtube_blocks(ingest, youtube):
    ingest(video_url=ID)
    youtube.videos[OTHER] = Video(faults={WATCH: Fault(429)})
    assert {metadata["video_id"] for metadata in ingest(video_urls=[OTHER, ID]).metadata} == {ID}


def test_captions_that_were_kept_a_day_ago_are_fetched_again(ingest, youtube, tmp_path):
    ingest(video_url=ID)
    kept, key = Kept(tmp_path / "kept"), key_of("youtube", ID, "en", module.KEPT_FORM)
    entry = kept.get(key)
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    kept.put(key, entry | {"retrieved": yesterday.isoformat().replace("+00:00", "Z")})
    youtube.requests.clear()
    ingest(video_url=ID)
    assert youtube.requests


# -- Subtitle files ---------------------------------------------------------------------------------

SRT = """1
00:00:01,000 --> 00:00:04,000
¡Buenos días! [Música]

2
00:01:01,500 --> 00:01:03,000
Hablamos del agua.
"""


def test_a_subtitle_file_is_read_without_any_network(ingest, youtube, tmp_path):
    path = tmp_path / "0123.srt"
    path.write_bytes(SRT.encode("cp1252"))
    job = ingest(path, original_filename="charla.srt", file_url="/static/a/b/0123.srt", language="es")
    assert [chunk["text"] for chunk in job.chunks] == ["¡Buenos días!", "Hablamos del agua."]
    last = job.metadata[-1]
    expected = {
        "source_url": "/static/a/b/0123.srt",
        "file_url": "/static/a/b/0123.srt",
        "filename": "charla.srt",
        "language": "es",
        "subtitle_source": "upload",
        "subtitle_format": "srt",
        "start_time": 61.5,
        "end_timestamp": "00:01:03",
        "chunk_count": 2,
    }
    assert {key: last[key] for key in expected} == expected
    assert "video_title" not in last
    assert [step[:2] for step in job.progress] == [(0, 1), (1, 1)]
    assert job.stats["chunk_stats"]["count"] == 2
    assert not youtube.connects


def test_a_subtitle_file_links_to_its_video_when_it_is_named(ingest, youtube, tmp_path):
    path = tmp_path / "talk.vtt"
    path.write_text("WEBVTT\nLanguage: fr\n\n01:30.000 --> 01:31.000\nbonjour\n")
    (metadata,) = ingest(path, video_url=f"https://youtu.be/{ID}").metadata
    assert (metadata["source_url"], metadata["video_id"]) == (f"https://youtu.be/{ID}?t=90", ID)
    assert (metadata["language"], metadata["subtitle_format"]) == ("fr", "vtt")
    assert not youtube.connects
    job = ingest(path, video_url="https://vimeo.com/1")
    assert job.metadata[0]["source_url"] == ""
    assert "names no video" in job.warnings[0][0]


def test_subtitles_in_a_text_file_are_known_by_what_they_are(ingest, tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text(SRT)
    assert ingest(path).metadata[0]["subtitle_format"] == "srt"


def test_damaged_times_are_told_in_the_diary(ingest, tmp_path):
    path = tmp_path / "talk.srt"
    path.write_text(SRT.replace("00:00:01,000", "00:00:"))
    job = ingest(path, chunk_duration=5)
    assert [(chunk["text"], chunk["metadata"]["start_time"]) for chunk in job.chunks] == [
        ("¡Buenos días!", 0.0),
        ("Hablamos del agua.", 61.5),
    ]
    assert "damaged times: 1" in job.warnings[0][0]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "no_text"),
        (b"just words", "corrupt"),
        (b"WEBVTT\n\n", "corrupt"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_text"),
        (b"x" * (MAX_FILE + 1), "too_large"),
    ],
    ids=["empty", "words", "header", "picture", "large"],
)
def test_a_file_that_holds_no_subtitles_says_what_it_is(failure, tmp_path, content, code):
    path = tmp_path / "talk.srt"
    path.write_bytes(content)
    error = failure(path)
    assert (error.code, error.transient) == (code, False)
    assert error.hint


def test_the_sample_of_subtitles_is_read_whole(ingest):
    sample = Path(__file__).resolve().parents[2] / "samples" / "office-hours.srt"
    job = ingest(sample, original_filename=sample.name)
    text = " ".join(chunk["text"] for chunk in job.chunks)
    assert len(job.chunks) == 2
    assert "On Tuesdays from ten to twelve, in room 214." in text
    assert "bell" not in text
    assert "laughter" not in text
    assert not job.warnings
