# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is warned of."""

import os
import re
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.services import air
from appliance.services import concerns as module
from appliance.services.concerns import (
    Facts,
    concerns,
    log_news,
    read_date,
    read_failures,
    read_room,
    read_taken_back,
)
from appliance.status import Cable, StorageStatus, Usb, Warning

NOW, MAY_2025 = 1_800_000_000.0, 1_746_057_600.0
MIB, GIB = 1 << 20, 1 << 30


def storage(free: int, capacity: int, *, read_only: bool = False, state: str = "in") -> Facts:
    return Facts([StorageStatus("Card", "/srv", state, read_only, free, capacity)], now=NOW)


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        (storage(10 * GIB, 32 * GIB), "", ()),
        (storage(3 * GIB, 32 * GIB), "storage-nearly-full", ("Card",)),
        (storage(250 * MIB, 32 * GIB), "storage-full", ("Card",)),
        (storage(300 * MIB, 32 * GIB), "storage-nearly-full", ()),
        (storage(19 * GIB, 2000 * GIB), "", ()),
        (storage(5 * GIB, 480 * GIB), "", ()),
        (storage(3 * GIB, 2000 * GIB), "storage-nearly-full", ()),
        (storage(250 * MIB, 2000 * GIB), "storage-full", ()),
        (storage(70 * MIB, 8 * GIB), "storage-full", ()),
        (storage(700 * MIB, 8 * GIB), "storage-nearly-full", ()),
        (storage(15 * MIB, 128 * MIB), "storage-full", ()),
        (storage(17 * MIB, 128 * MIB), "", ()),
        (storage(0, 32 * GIB, read_only=True), "", ()),
        (storage(0, 0, state="ejected"), "", ()),
        (storage(0, 0, state="missing"), "storage-missing", ("/srv", "Card")),
        (
            Facts(failed=[ApplianceError("/x is away", hint="y")], now=NOW),
            "storage-failed",
            ("/x",),
        ),
        (
            Facts(unreached=[ApplianceError("cannot listen at 192.0.2.1")], now=NOW),
            "address-failed",
            ("192.0.2.1",),
        ),
        (Facts(settings_errors=["a: bad", "b"], now=NOW), "settings-errors", ("a: bad", "1 more")),
        (Facts(usb=Usb("x"), is_missing=True, now=NOW), "no-controller", ("controller x",)),
        (Facts(usb=Usb("", Cable.NO_CONTROLLER), now=NOW), "", ()),
        (Facts(usb=Usb("x"), holder="g", now=NOW), "controller-taken", ("x", "by g")),
        (Facts(obstacle=ApplianceError("it is not taken"), now=NOW), "not-shown", ("not taken",)),
        (Facts(failures=[("a.service", "why")], now=NOW), "unit-failed", ("a.service", "why")),
        (Facts(failures=[("card-x", "no files | mend it")], now=NOW), "card", ("no files",)),
        *(
            (Facts(failures=[(f"card-{name}", "no | mend it")], now=NOW), f"card-{name}", ("no",))
            for name in ("settings", "not-in-force", "board", "small", "state", "share", "boot")
        ),
        (
            Facts(wifi=Warning("wifi-not-joined", "Home has not been joined", "is it?"), now=NOW),
            "wifi-not-joined",
            ("Home has not",),
        ),
        (Facts(failures=[("a.service", "")], now=NOW), "unit-failed", ("a.service has failed",)),
        (Facts(taken_back="0.2.0 was", now=NOW), "update-taken-back", ("0.2.0 was",)),
        (Facts(unwatched="no room; raise x", now=NOW), "unwatched", ("no room", "raise x")),
        (Facts(trouble="Input/output error", now=NOW), "storage-errors", ("output error",)),
        (Facts(state_free=60_000, now=NOW), "state-full", ()),
        (Facts(state_free=70_000, now=NOW), "", ()),
        (Facts(now=60.0), "clock-not-set", ()),
        (Facts(now=MAY_2025, installed=NOW), "clock-not-set", ()),  # where systemd begins
        (Facts(now=MAY_2025, installed=MAY_2025 - 1), "", ()),
    ],
)
def test_warnings(facts: Facts, code: str, words: tuple[str, ...]) -> None:
    found = concerns(facts)
    assert [each.code for each in found] == ([code] if code else [])
    for warning in found:
        assert warning.hint
        assert [word for word in words if word not in warning.text] == []


def test_every_code_is_in_the_table() -> None:
    source = "".join(Path(str(each.__file__)).read_text() for each in (module, air))
    written = set(re.findall(r'Warning\(\s*"([a-z-]+)"', source))
    assert written | module._OF_CARDS | {"card"} == table()


def table() -> set[str]:
    """The codes that the documentation has."""
    return {line.split("`")[1] for line in (module.__doc__ or "").splitlines() if "| `" in line}


def test_how_old_the_installation_is(tmp_path: Path) -> None:
    assert read_date(tmp_path / "release") == 0
    (tmp_path / "release").touch()
    os.utime(tmp_path / "release", (NOW, NOW))
    assert read_date(tmp_path / "release") == NOW


def test_what_was_taken_back(tmp_path: Path) -> None:
    assert read_taken_back(tmp_path / "none") == ""
    (tmp_path / "it").write_text("version 0.2.0 was taken back: why\n")
    assert read_taken_back(tmp_path / "it") == "version 0.2.0 was taken back: why"


def test_failures_of_units(tmp_path: Path) -> None:
    assert read_failures(tmp_path / "none") == ()
    (tmp_path / "b.service").write_bytes(b"\xff broken\nsecond line")
    (tmp_path / "a.service").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "directory").mkdir()
    assert read_failures(tmp_path) == (
        ("a.service", ""),
        ("b.service", "\ufffd broken"),
        ("directory", ""),
    )


def test_how_much_room_a_directory_has(tmp_path: Path) -> None:
    assert (read_room(tmp_path) or 0) > 1 << 20
    assert read_room(Path("/proc")) == 0
    assert read_room(tmp_path / "nowhere") is None
    assert read_room(None) is None


def test_what_is_new_is_logged_and_what_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    old, both, new = (Warning(code, f"text of {code}", "") for code in ("old", "both", "new"))
    log_news([old, both], [both, new])
    assert [each.getMessage() for each in caplog.records] == [
        "WRONG   new: text of new",
        "MENDED  old",
    ]
