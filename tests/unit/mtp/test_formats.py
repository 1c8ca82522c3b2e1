# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats by name."""

import pytest

from appliance.mtp.formats import PLAYBACK_FORMATS, format_of, is_image


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.txt", 0x3004),
        ("a.TXT", 0x3004),
        ("a.b.HtMl", 0x3005),
        (".txt", 0x3004),
        ("a.jpg", 0x3801),
        ("a.jpeg", 0x3801),
        ("a.png", 0x380B),
        ("a.webp", 0x3800),
        ("a.mp3", 0x3009),
        ("a.flac", 0xB906),
        ("a.mp4", 0xB982),
        ("a.m3u8", 0xBA11),
        ("a.pla", 0xBA05),
        ("a", 0x3000),
        ("txt", 0x3000),
        ("a.", 0x3000),
        ("", 0x3000),
        ("a.unknown", 0x3000),
    ],
)
def test_the_format_follows_the_extension(name: str, form: int) -> None:
    assert format_of(name, is_folder=False) == form
    assert format_of(name, is_folder=True) == 0x3001
    assert form in PLAYBACK_FORMATS


def test_images() -> None:
    images = [form for form in PLAYBACK_FORMATS if is_image(form)]
    assert {0x3800, 0x3801, 0x3804, 0x3807, 0x380B, 0x380D} <= set(images)
    assert not is_image(0x3000)
    assert not is_image(0xB982)


def test_no_format_is_listed_twice() -> None:
    assert len(set(PLAYBACK_FORMATS)) == len(PLAYBACK_FORMATS)
