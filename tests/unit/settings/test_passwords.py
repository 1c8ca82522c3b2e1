# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: hashed, compared, refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.settings.passwords import complaint, hash_password, is_hash, verify_password


@pytest.mark.parametrize(
    "password", ["correct horse", "pässwörd", "  spaces  ", "🐎" * 20, "x" * 999]
)
def test_the_right_one_and_others(password: str) -> None:
    hashed = hash_password(password)
    assert is_hash(hashed)
    assert password not in hashed
    assert verify_password(password, hashed)
    assert not verify_password(password + " ", hashed)
    assert not verify_password("", hashed)


def test_the_same_one_twice_is_not_the_same_hash() -> None:
    assert hash_password("correct horse") != hash_password("correct horse")


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        "plain text",
        "scrypt$13$8$1$$",
        "scrypt$40$8$1$" + "A" * 24 + "$" + "A" * 44,
        "scrypt$13$8$-1$" + "A" * 24 + "$" + "A" * 44,
        "md5$13$8$1$" + "A" * 24 + "$" + "A" * 44,
        "scrypt$13$8$1$" + "A" * 24 + "$AAAA",
        "scrypt$13$8$1$!" + "A" * 23 + "$" + "A" * 44,
    ],
)
def test_what_is_no_hash_opens_nothing(hashed: str) -> None:
    assert not is_hash(hashed)
    assert not verify_password("", hashed)
    assert not verify_password("plain text", hashed)


@given(st.text())
@settings(max_examples=200)
def test_no_text_is_too_strange(text: str) -> None:
    assert not verify_password(text, text)


@pytest.mark.parametrize(("password", "words"), [("short", "shorter"), ("x" * 2000, "longer")])
def test_bad_ones_are_refused(password: str, words: str) -> None:
    assert words in complaint(password)


def test_good_ones_are_not() -> None:
    assert complaint("long enough") == ""
