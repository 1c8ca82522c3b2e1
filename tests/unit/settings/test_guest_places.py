# SPDX-License-Identifier: GPL-3.0-or-later
"""Where virtual machines are met, as people write it."""

import pytest

from appliance.settings.guest_places import GuestPlace, parse_guest_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("unix:/run/share.sock", GuestPlace(path="/run/share.sock")),
        ("unix:share.sock", GuestPlace(path="share.sock")),
        ("unix:/with:colon", GuestPlace(path="/with:colon")),
        ("connect:unix:/run/vm.sock", GuestPlace(path="/run/vm.sock", calls=True)),
        ("tcp:127.0.0.1:4000", GuestPlace(host="127.0.0.1", port=4000)),
        ("tcp:localhost:0", GuestPlace(host="localhost", port=0)),
        ("tcp:[::1]:65535", GuestPlace(host="::1", port=65535)),
        ("connect:tcp:vm.example:4000", GuestPlace(host="vm.example", port=4000, calls=True)),
        ("unix:/" + "x" * 106, GuestPlace(path="/" + "x" * 106)),
    ],
)
def test_good(text: str, place: GuestPlace) -> None:
    assert parse_guest_place(text) == place


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no place"),
        ("/run/share.sock", "no place"),
        ("unix:", "no place"),
        ("connect:", "no place"),
        ("connect:/run/share.sock", "no place"),
        ("tcp:4000", "no place"),
        ("tcp:localhost", "no place"),
        ("tcp::4000", "no place"),
        ("tcp:localhost:x", "no place"),
        ("tcp:localhost:-1", "no place"),
        ("tcp:localhost:65536", "65535"),
        ("udp:localhost:4000", "no place"),
        ("unix:/" + "x" * 107, "107 bytes"),
        ("unix:/" + "ä" * 60, "107 bytes"),
        ("unix:/a\0b", "no place"),
        ("tcp:a\0b:4000", "no place"),
    ],
)
def test_bad(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_guest_place(text)
