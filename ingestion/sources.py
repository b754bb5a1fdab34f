"""Sources that are no files, and which plugin suits a source where nobody has chosen one."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ingestion import storage
from plugins.parameters import ADDRESS_PARAMETERS, addresses_in
from plugins.registry import PluginInfo

TEXT = {".txt", ".md"}
SUBTITLES = {".srt", ".vtt"}
ADDRESS_LENGTH = 2000
TOO_LONG = f"An address is longer than {ADDRESS_LENGTH} characters."
VIDEO_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


def plugin_for_file(name: str) -> str:
    extension = storage.extension_of(name)
    if extension in SUBTITLES:
        return "youtube_transcript_ingest"
    return "simple_ingest" if extension in TEXT else "markitdown_ingest"


def is_address(text: str) -> bool:
    """Whether *text* names something to be fetched, and not a file."""
    return text.lower().startswith(("http://", "https://"))


def plugin_for_address(address: str) -> str:
    try:
        host = (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:  # no address at all; the plugin's check says so
        host = ""
    is_video = any(host == known or host.endswith(f".{known}") for known in VIDEO_HOSTS)
    return "youtube_transcript_ingest" if is_video else "url_ingest"


# -- Addresses and parameters -----------------------------------------------------------------------


class WrongAddresses(Exception):
    """Addresses that cannot be given to the plugin; the message is a sentence."""


def address_names(info: PluginInfo) -> list[str]:
    """The plugin's parameters that take addresses."""
    return [name for name in ADDRESS_PARAMETERS if name in info.parameters]


def address_parameters(info: PluginInfo, addresses: list[str]) -> dict[str, Any]:
    """How this plugin is told its addresses: one as such, several as a list.

    :raises WrongAddresses: several for a plugin that takes one
    """
    names = address_names(info) or ["url"]
    several = [name for name in names if info.parameters.get(name, {}).get("type") == "array"]
    if several:
        return {several[0]: addresses}
    if len(addresses) > 1:
        raise WrongAddresses(f"{info.name} takes one address at a time. Send each in a request of its own.")
    return {names[0]: addresses[0]} if addresses else {}


def first_address(params: Mapping[str, Any]) -> str:
    """The address that the parameters name first; empty when they name none.

    :raises WrongAddresses: one is longer than any that works
    """
    addresses = addresses_in(params)
    if any(len(address) > ADDRESS_LENGTH for address in addresses):
        raise WrongAddresses(TOO_LONG)
    return addresses[0] if addresses else ""


def named(name: str) -> dict[str, Any]:
    """What a job of a source without a file is called, for :func:`ingestion.services.submit`."""
    return {"name": name, "url": name if is_address(name) else "", "content_type": "text/markdown"}
