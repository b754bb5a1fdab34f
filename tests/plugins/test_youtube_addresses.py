"""From what people paste to the ids of videos."""

import pytest

from plugins.base import PluginError
from plugins.videos.video_addresses import video_id_of, wanted

ID = "dQw4w9WgXcQ"
OTHER = "_-aB3_-xY0k"

FORMS = [
    f"https://www.youtube.com/watch?v={ID}",
    f"http://youtube.com/watch?v={ID}",
    f"https://m.youtube.com/watch?v={ID}",
    f"https://music.youtube.com/watch?v={ID}&si=abc",
    f"https://WWW.YouTube.com/watch?v={ID}",
    f"https://www.youtube.com/watch?app=desktop&v={ID}&t=30s",
    f"https://www.youtube.com/watch?v={ID}&list=PL1234567890&index=3",
    f"https://www.youtube.com/watch?list=PL1234567890&v={ID}#t=1m",
    f"https://www.youtube.com/watch?feature=share&amp;v={ID}",
    f"https://www.youtube.com/watch?v={ID}?t=5",
    f"https://www.youtube.com/watch/{ID}",
    f"https://youtu.be/{ID}",
    f"https://www.youtu.be/{ID}?si=x&t=42",
    f"youtu.be/{ID}&t=42",
    f"https://youtu.be/{ID}/",
    f"https://www.youtube.com/shorts/{ID}?feature=share",
    f"https://www.youtube.com/live/{ID}",
    f"https://www.youtube.com/embed/{ID}?start=10",
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://www.youtube.com/v/{ID}?version=3",
    f"https://www.youtube.com/vi/{ID}/",
    f"https://www.youtube.com/e/{ID}",
    f"https://youtube.googleapis.com/v/{ID}",
    f"https://www.youtubekids.com/watch?v={ID}",
    f"https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3D{ID}%26feature%3Dshare",
    f"https://www.youtube.com/oembed?url=https%3A//youtu.be/{ID}&format=json",
    f"https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{ID}&gl=DE",
    f"www.youtube.com/watch?v={ID}",
    f"youtube.com/watch?v={ID}",
    f"//youtu.be/{ID}",
    ID,
]


@pytest.mark.parametrize("address", FORMS)
def test_every_form_of_address_leads_to_its_video(address):
    assert video_id_of(address) == ID
    assert [one.video_id for one in wanted([f"  <{address}>  "])] == [ID]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://www.youtube.com/playlist?list=PL1234567890", "unsupported_address"),
        ("https://www.youtube.com/watch?list=PL1234567890", "unsupported_address"),
        ("https://www.youtube.com/embed/videoseries?list=PL1234567890", "unsupported_address"),
        ("https://www.youtube.com/@somebody", "unsupported_address"),
        ("https://www.youtube.com/channel/UC1234567890", "unsupported_address"),
        ("https://www.youtube.com/results?search_query=gardens", "unsupported_address"),
        ("https://www.youtube.com/", "unsupported_address"),
        ("https://www.youtube.com/watch", "unsupported_address"),
        ("https://vimeo.com/12345678901", "unsupported_address"),
        (f"https://youtube.com.example.org/watch?v={ID}", "unsupported_address"),
        (f"https://notyoutube.com/watch?v={ID}", "unsupported_address"),
        ("https://[youtube.com/", "unsupported_address"),
        ("gardens", "unsupported_address"),
        ("https://youtube.com/x?u=" * 5000 + ID, "unsupported_address"),
        ("https://youtu.be/short", "invalid_video"),
        (f"https://youtu.be/{ID}x", "invalid_video"),
        ("https://www.youtube.com/watch?v=dQw4w9WgXc%3C", "invalid_video"),
    ],
)
def test_what_is_no_single_video_is_refused_with_a_way_out(address, code):
    with pytest.raises(PluginError) as caught:
        video_id_of(address)
    assert caught.value.code == code
    assert caught.value.hint
    assert len(caught.value.message) < 250
    assert not caught.value.transient


def test_playlists_are_named_as_what_they_are():
    with pytest.raises(PluginError, match="playlist"):
        video_id_of("https://www.youtube.com/playlist?list=PL1234567890")


def test_a_list_names_each_video_once_in_its_order():
    text = f"""
    # my course
    Lecture 1/2: https://youtu.be/{OTHER} (mathematics)
    https://www.youtube.com/watch?v={ID}, youtu.be/{OTHER}; https://youtu.be/{ID}?t=9
    - [Lecture 3](https://youtu.be/ThirdVideo_), or <a href="https://youtu.be/FourthVideo">Lecture 4</a>.
    """
    assert [one.video_id for one in wanted([text, ID])] == [OTHER, ID, "ThirdVideo_", "FourthVideo"]


def test_passwords_in_addresses_are_not_repeated():
    (one,) = wanted(["https://me:secret@vimeo.com/1"])
    assert "secret" not in one.address + one.error.message


def test_ids_stand_alone_and_words_are_no_ids():
    assert [one.video_id for one in wanted([f"{ID} {OTHER}"])] == [ID, OTHER]
    (line,) = wanted(["mathematics for all"])
    assert (line.video_id, line.error.code) == ("", "unsupported_address")
    assert wanted(["", " \n# nothing\n"]) == []
