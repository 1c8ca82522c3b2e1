# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that take effect at once."""

from pathlib import Path

import pytest

from appliance.mtp.codes import DevicePropertyCode, EventCode, OperationCode, ResponseCode
from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.mtp.transaction import Event
from appliance.services.mtpd import renamer
from appliance.services.reloading import Reloader
from appliance.services.reporting import Places, Reporter
from appliance.settings.state import State
from appliance.settings.store import SettingsFile
from appliance.storage import Catalogue, Folder, flushing
from appliance.transports.memory import MemoryInitiator
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.unit.storage.helpers import put

OK = ResponseCode.OK


def test_safe_and_fast_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "_PAUSE", 3600)
    share, path = tmp_path / "share", tmp_path / "settings.toml"
    share.mkdir()
    file = SettingsFile(path, tmp_path / "state")
    with Catalogue([Folder(share, "Card")]) as store:
        responder = Responder(Device(IDENTITY, ForgetfulState(), TestHost()), store)
        reporter = Reporter(store, lambda: "Kitchen", Places(None, tmp_path))
        reloader = Reloader(file, file.read().settings, store, responder, reporter)

        def reload(safety: str) -> None:
            storage = f'[[storages]]\npath = "{share}"\nname = "Card"\n'
            path.write_text(f'version = 1\nwrite_safety = "{safety}"\n{storage}')
            reloader.reload()

        reload("fast")
        put(store, "fast", b"1")
        assert not (share / "fast").exists()
        reload("safe")
        assert (share / "fast").exists()
        assert store.unsafe().files == 0


def test_a_folder_that_is_a_ring_of_links_takes_no_other_away(tmp_path: Path) -> None:
    share, ring, path = tmp_path / "share", tmp_path / "ring", tmp_path / "settings.toml"
    share.mkdir()
    ring.symlink_to(ring.name)
    file = SettingsFile(path, tmp_path / "state")
    with Catalogue([]) as store:
        responder = Responder(Device(IDENTITY, ForgetfulState(), TestHost()), store)
        reporter = Reporter(store, lambda: "Kitchen", Places(None, tmp_path))
        reloader = Reloader(file, file.read().settings, store, responder, reporter)
        path.write_text(f'[[storages]]\npath = "{ring}"\n[[storages]]\npath = "{share}"\n')
        for _ in range(2):
            reloader.reload()
            assert [each.path for each in store.storages()] == [share]


@pytest.mark.parametrize(
    ("fixed", "by_a_pc", "expected"),
    [("", None, "Kitchen"), ("Fixed", None, "Fixed"), ("", "Anna's", "Anna's")],
)
def test_another_name(tmp_path: Path, fixed: str, by_a_pc: str | None, expected: str) -> None:
    """The command line's name and a PC's go before the settings'; only a change is told."""
    path = tmp_path / "settings.toml"
    path.write_text("version = 1\n")
    file = SettingsFile(path, tmp_path)
    state = State(tmp_path / "state", default_name=fixed)
    if by_a_pc:
        state.set_friendly_name(by_a_pc)
    with Catalogue([]) as store:
        responder = Responder(Device(IDENTITY, state, TestHost()), store)
        before = responder.device.friendly_name
        told: list[Event] = []
        connection = responder.connect("memory")
        connection.listen(told.append)
        assert MemoryInitiator(connection).call(OperationCode.OPEN_SESSION, 1)[0] == OK
        reporter = Reporter(store, lambda: responder.device.friendly_name, Places(None, tmp_path))
        rename = renamer(fixed, state, responder)
        settings = file.read().settings
        reloader = Reloader(file, settings, store, responder, reporter, rename=rename)
        path.write_text('version = 1\nname = "Kitchen"\n')
        reloader.reload()
        assert responder.device.friendly_name == expected
        names = [each.parameters for each in told if each.code is EventCode.DEVICE_PROP_CHANGED]
        assert names == [(DevicePropertyCode.DEVICE_FRIENDLY_NAME,)] * (expected != before)
