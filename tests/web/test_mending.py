# SPDX-License-Identifier: GPL-3.0-or-later
"""A settings file that somebody has broken is mended on the page, whose responder is a real one."""

import io
import re
from pathlib import Path

import pytest

from appliance.settings.store import SettingsFile
from tests.unit.test_cli import serving
from tests.web.appliance import HOST, FakeAppliance, Visitor
from webui import create_app
from webui.config import Config
from webui.sentences import advice

ANEW = "It is written anew, so that it counts again."
CHANGE = '<button class="primary">Change it</button>'
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


#: All that the page advises, in its words.
WAYS = {
    "undo": "Undo the last change under Settings",
    "backup": "take over a backup under Maintenance",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_file_is_mended_though_nothing_is_different(tmp_path: Path, way: str) -> None:
    path, state = tmp_path / "settings.toml", tmp_path / "state"
    (tmp_path / "share").mkdir()
    path.write_text(f'[trash]\ndays = 30\n[[storages]]\npath = "{tmp_path}/share"\n')
    FakeAppliance(tmp_path).claim()
    with serving("--settings", path, "--state-dir", state):
        socket, status = state / "control.sock", state / "status.json"
        config = Config(path, status, socket, None, tmp_path / "page", (HOST,))
        who = Visitor(create_app(config).test_client())
        who.log_in()
        backup = who.get("/maintenance/backup").data
        good = ask_to_mend(who, way, backup)
        assert CHANGE not in good
        path.write_text(path.read_text().replace("30", '"thirty"'))
        shown = who.get("/settings").text
        assert "has errors" in shown
        assert "Undo the last change, or take over a backup under Maintenance." in shown
        shown = ask_to_mend(who, way, backup)
        assert (ANEW in shown, CHANGE in shown, "Nothing is different" in shown) == (1, 1, 0)
        fields = {key: value.replace("&#34;", '"') for key, value in HIDDEN.findall(shown)}
        who.post("/settings/undo" if way == "undo" else "/maintenance/restore/change", **fields)
        assert "has errors" not in who.get("/settings").text
    reading = SettingsFile(path, tmp_path / "none").read()
    assert (reading.findings.errors, reading.settings.trash_days) == ([], 30)


def test_only_what_works_is_advised(owner: Visitor) -> None:
    """A setting that is changed is none of it: a file with errors is not written to."""
    with owner.client.application.test_request_context():
        assert advice("settings-errors", is_appliance=True) == f"{', or '.join(WAYS.values())}."


def ask_to_mend(who: Visitor, way: str, backup: bytes) -> str:
    """Go as far as the page that shows what would be different."""
    if way == "undo":
        return who.get("/settings/undo").text
    data = {"token": who.token(), "file": (io.BytesIO(backup), "backup.toml")}
    return who.client.post("/maintenance/restore", base_url=who.base, data=data).text
