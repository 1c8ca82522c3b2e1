# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as text: what is shipped, exported, compared."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.settings import examples
from appliance.settings.differences import differences
from appliance.settings.schema import Settings, StorageSetting, declared
from appliance.settings.store import understand

OVERLAY = Path(__file__).parents[3] / "overlay"
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
STORAGES = st.lists(
    st.builds(
        StorageSetting,
        path=NAMES.filter(lambda name: "\0" not in name).map(lambda name: Path("/srv") / name),
        name=NAMES.filter(str.strip),
        read_only=st.booleans(),
        hidden_files=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda each: each.path,
)
SETTINGS = st.builds(
    Settings,
    name=NAMES.filter(str.strip),
    listen=st.lists(st.sampled_from(["127.0.0.1", "[::1]:1", "host:9"]), max_size=2).map(tuple),
    trash_days=st.integers(1, 3650),
    trash_keep=st.booleans(),
    write_safety=st.sampled_from(["safe", "fast"]),
    usb_vendor_id=st.integers(1, 0xFFFF),
    network_function=st.sampled_from(["ncm", "ecm", "rndis", "none"]),
    leds_pins=st.sets(st.integers(0, 27)).map(tuple),
    button_pin=st.integers(-1, 27),
    storages=STORAGES.map(tuple),
).filter(lambda settings: settings.button_pin not in settings.leds_pins)


def test_what_is_shipped_is_what_is_declared() -> None:
    settings, findings = understand((OVERLAY / "etc/mtp-appliance/settings.toml").read_text())
    assert (findings.errors, findings.warnings) == ([], [])
    assert settings == Settings(storages=(StorageSetting(Path("/srv/share"), "Files"),))
    assert (OVERLAY / "etc/mtp-appliance/settings.toml").read_text() == examples.shipped()


def test_the_file_of_the_boot_partition_says_nothing_before_it_is_edited() -> None:
    data = (OVERLAY / "boot/firmware/mtp-appliance.toml").read_bytes()
    assert data.decode().replace("\r\n", "\n") == examples.for_boot_partition()
    assert data.count(b"\r\n") == data.count(b"\n")
    assert understand(data.decode())[0] == Settings()


@pytest.mark.parametrize("key", [key for key, _, _ in declared()])
def test_each_line_of_it_counts_when_it_is_uncommented(key: str) -> None:
    text = re.sub(
        rf"^#({re.escape(key)} = )", r"\1", examples.for_boot_partition(), count=1, flags=re.M
    )
    assert text != examples.for_boot_partition()
    settings, findings = understand(text)
    assert (settings, findings.errors, findings.warnings) == (Settings(), [], [])


@given(SETTINGS)
def test_what_is_exported_is_what_was_there(settings: Settings) -> None:
    again, findings = understand(examples.of(settings))
    assert (findings.errors, findings.warnings) == ([], [])
    assert again == settings
    assert differences(settings, again) == []


@given(SETTINGS, SETTINGS)
def test_differences_name_each_setting_once(before: Settings, after: Settings) -> None:
    found = [each.key for each in differences(before, after)]
    assert len(found) == len(set(found))
    assert bool(found) == (before != after or sorted_paths(before) != sorted_paths(after)) or (
        set(before.storages) == set(after.storages)
    )


def sorted_paths(settings: Settings) -> list[Path]:
    return [each.path for each in settings.storages]


def test_a_secret_is_never_told() -> None:
    settings = replace(Settings(), web_password="scrypt$13$8$1$salt$hash")
    assert "scrypt" not in examples.of(settings)
    assert "scrypt" in examples.of(settings, secrets=True)
    told = [str(each) for each in differences(Settings(), settings)]
    assert told == ['web.password: "(not set)" -> "(set)"']
    assert "horse" not in examples.of(replace(settings, wifi_passphrase="correct horse"))
    _, findings = understand('[web]\npassword = "my secret"')
    assert findings.errors
    assert "my secret" not in str(findings.errors)


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    understand(text)


@given(
    st.dictionaries(
        st.sampled_from([*{key.partition(".")[0] for key, _, _ in declared()}, "storages", "x"]),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
            lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        ),
    )
)
def test_no_document_is_too_strange(document: dict[str, object]) -> None:
    from appliance.settings.interpretation import interpret  # noqa: PLC0415

    interpret(document)
