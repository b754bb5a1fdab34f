"""Which plugin suits a source, where nobody has chosen one."""

from urllib.parse import urlsplit

from ingestion import storage

TEXT = {".txt", ".md"}
SUBTITLES = {".srt", ".vtt"}
VIDEO_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


def plugin_for_file(name: str) -> str:
    extension = storage.extension_of(name)
    if extension in SUBTITLES:
        return "youtube_transcript_ingest"
    return "simple_ingest" if extension in TEXT else "markitdown_ingest"


def is_address(text: str) -> bool:
    """Whether *text* names something to be fetched, and not a file."""
    return text.lower().startswith(("http://", "https://"))


def plugin_for_address(address: str) -> tuple[str, dict[str, str]]:
    """Name of the plugin, and the parameters that tell it the address."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    if any(host == known or host.endswith(f".{known}") for known in VIDEO_HOSTS):
        return "youtube_transcript_ingest", {"video_url": address}
    return "url_ingest", {"url": address}
