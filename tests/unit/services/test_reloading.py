# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that take effect at once."""

from pathlib import Path

import pytest

from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.services.reloading import Reloader
from appliance.services.reporting import Places, Reporter
from appliance.settings.store import SettingsFile
from appliance.storage import Catalogue, Folder, flushing
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.unit.storage.helpers import put


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
