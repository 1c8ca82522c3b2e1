# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.storage.names import (
    MAX_UNITS,
    STAGING,
    BadNameError,
    is_hidden,
    may_be_made_up,
    to_disk,
    to_pc,
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "photo.jpeg",
        "..a",
        "...",
        " ",
        ".hidden",
        "a:b*c?.txt",
        "a..b.txt",
        "C:\\Users",
        "line\nbreak",
        "Ääß",
        "写真.jpg",
        "😀" * 63,
        "a" * 255,
        ".mtp-appliance2",
        "x.mtp-appliance",
    ],
)
def test_a_name_of_one_component_is_taken(name: str) -> None:
    assert to_pc(to_disk(name)) == name or len(name) > MAX_UNITS


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "../a",
        "/etc",
        "a/",
        "a\0",
        "\0",
        "a\ud800",
        "\udc80b",
        "a" * 256,
        "ä" * 128,
        "😀" * 64,
        ".mtp-appliance",
        ".MTP-Appliance",
        ".mtp-appliance.",
        ".mtp-appliance. .",
    ],
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(BadNameError):
        to_disk(name)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain.txt", "plain.txt"),
        ("ä写😀".encode(), "ä写😀"),
        (b"caf\xe9.jpg", "caf\ufffd~14aa6d7f.jpg"),
        (b"\xff", None),
        (b".\xff", None),
        (b"a\xed\xa0\x80b", None),
        (b"\xff.tar.a-very-long-extension", None),
        (b"a" * 255, None),
        (b"b" * 250 + b".jpeg", None),
    ],
)
def test_what_the_pc_sees(raw: bytes, shown: str | None) -> None:
    seen = to_pc(raw)
    assert shown in (None, seen)
    assert to_disk(seen)
    assert may_be_made_up(seen) is (seen.encode() != raw)


@pytest.mark.parametrize("raw", [b"\xff.jpg", b"a" * 250 + b".jpg" + b"", b"a" * 251 + b".jpg"])
def test_an_extension_is_kept(raw: bytes) -> None:
    assert to_pc(raw).endswith(".jpg")


def test_a_long_name_is_cut_but_no_pair_of_surrogates() -> None:
    for length in range(250, 256):
        raw = b"a" * length
        assert len(to_pc(raw).encode("utf-16-le")) // 2 <= MAX_UNITS
    seen = to_pc(b"\xff" + "😀".encode() * 63 + b"\xff")
    seen.encode("utf-8")


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=255).filter(lambda raw: b"/" not in raw and b"\0" not in raw))
def test_every_name_on_a_disk_has_one_that_a_pc_can_say(raw: bytes) -> None:
    seen = to_pc(raw)
    assert seen == to_pc(raw)
    assert 0 < len(seen.encode("utf-16-le")) // 2 <= MAX_UNITS


@settings(max_examples=60)
@given(st.sets(st.binary(min_size=1, max_size=40), min_size=2))
def test_names_that_differ_are_seen_to_differ(raws: set[bytes]) -> None:
    assert len({to_pc(raw) for raw in raws}) == len(raws)


@settings(max_examples=60)
@given(st.text())
def test_no_text_becomes_anything_but_one_component(name: str) -> None:
    try:
        raw = to_disk(name)
    except BadNameError:
        return
    assert b"/" not in raw
    assert b"\0" not in raw
    assert raw not in (b"", b".", b"..", STAGING)
    assert raw.decode() == name


@pytest.mark.parametrize(("raw", "hidden"), [(b".a", True), (b"a.b", False), (b"\xff", False)])
def test_hidden_by_a_dot(raw: bytes, *, hidden: bool) -> None:
    assert is_hidden(raw) is hidden
