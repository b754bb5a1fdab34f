"""Walls for robots are told from pages."""

import pytest

from plugins.bot_walls import bot_wall

WALLS = [
    ("Just a moment...", "Enable JavaScript and cookies to continue"),
    ("Just a moment...", ""),
    ("Nur einen Moment…", "www.example.org Überprüfung"),
    ("Attention Required! | Cloudflare", "Sorry, you have been blocked. You are unable to access example.org"),
    ("example.org", "Verify you are human by completing the action below. Ray ID: 8f1c"),
    ("example.org", "Checking if the site connection is secure"),
    ("Access Denied", 'You don\'t have permission to access "http://example.org/" on this server. Reference #18.2c5e'),
    ("Robot Check", "Type the characters you see in this image"),
    ("", "Enter the characters you see below. Sorry, we just need to make sure you’re not a robot."),
    ("Pardon Our Interruption", "As you were browsing something about your browser made us think you were a bot."),
    ("", "Request unsuccessful. Incapsula incident ID: 1234-5678"),
    ("Making sure you're not a bot!", "Loading..."),
    ("Sorry", "Our systems have detected unusual traffic from your computer network."),
    ("example.org", "Please enable JS and disable any ad blocker. Please solve the CAPTCHA. DataDome"),
    ("Vercel Security Checkpoint", "We're verifying your browser"),
]
PAGES = [
    ("Opening hours", "The library opens at nine."),
    ("Just a moment: a novel", "Chapter one. It was a dark night."),
    ("What is a captcha?", "A captcha tells robots from people. It was invented in 1997."),
    ("IP addresses", "Your IP address is what other computers know you by."),
    ("Cookies", "This site sets one cookie, to remember your language."),
    ("Just a moment...", "An article about walls says: verify you are human. " * 60),
    ("Security", "A security check at the entrance takes five minutes."),
    ("", ""),
]


@pytest.mark.parametrize(("title", "text"), WALLS)
def test_a_wall_is_known(title, text):
    assert bot_wall(title, text)


@pytest.mark.parametrize(("title", "text"), PAGES)
def test_a_page_is_no_wall(title, text):
    assert not bot_wall(title, text)
