# SPDX-License-Identifier: GPL-3.0-or-later
"""An appliance for the pages: its files are real, its services answer what a test says."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from appliance.errors import ApplianceError
from appliance.services.control_socket import ControlServer
from appliance.services.management import AT_ONCE
from appliance.services.status_file import StatusFile
from appliance.settings import passwords
from appliance.settings.store import SettingsFile
from appliance.settings.values import parse
from appliance.status import Status
from webui import create_app
from webui.config import OVER_WIFI, Config

HOST = "mtp-appliance.local"
PASSWORD = "correct horse"
TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


@dataclass
class FakeAppliance:
    """Files, and two services that note what they are asked; `answers` may be errors."""

    root: Path
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status_file: StatusFile | None = None

    @property
    def settings(self) -> SettingsFile:
        return SettingsFile(self.root / "settings.toml", self.root, keeps=False)

    def config(self, *, helper: bool = True) -> Config:
        return Config(
            settings=self.root / "settings.toml",
            status=self.root / "run" / "status.json",
            control=self.root / "run" / "control.sock",
            helper=self.root / "run" / "helper.sock" if helper else None,
            state=self.root / "state",
            hosts=("10.55.0.1", "fe80::1", "kitchen"),
        )

    def show(self, status: Status) -> None:
        assert self.status_file is not None
        self.status_file.write(status)

    def claim(self, password: str = PASSWORD) -> None:
        self.settings.set({"web.password": HASHES.setdefault(password, _hash(password))})

    def asked(self, verb: str) -> list[dict[str, Any]]:
        return [arguments for each, arguments in self.calls if each == verb]

    def verbs(self) -> dict[str, Any]:
        return {verb: self._answer(verb) for verb in (*ANSWERS, "settings set", "secret set")}

    def _answer(self, verb: str) -> Any:
        def answer(**arguments: Any) -> Any:
            self.calls.append((verb, arguments))
            found = self.answers.get(verb, ANSWERS.get(verb))
            if isinstance(found, ApplianceError):
                raise found
            if verb == "settings set":
                values = arguments["values"]
                self.settings.set({key: parse(key, text) for key, text in values.items()})
            if verb == "secret set":
                self.settings.set_secrets({arguments["key"]: arguments["value"]})
            return found(**arguments) if callable(found) else found

        return answer


HASHES: dict[str, str] = {}
CHANGE = {
    "key": "trash.days",
    "label": "How long",
    "before": 30,
    "after": 7,
    "effect": "at once",
}
HOSTILE = "<script>alert(1)</script>\"'&.txt"
STORAGES = [
    {"id": 0x10001, "name": "Files", "path": "/srv/share", "read_only": False, "state": "in"},
    {"id": 0x20001, "name": HOSTILE, "path": f"/srv/{HOSTILE}", "read_only": True, "state": "in"},
]
ANSWERS: dict[str, Any] = {
    "history": [],
    "reconnect": None,
    "storage list": STORAGES,
    "storage add": "",
    "storage remove": "",
    "storage read-only": "",
    "storage eject": None,
    "storage load": None,
    "storage lock": None,
    "storage unlock": None,
    "storage rename": "",
    "storage order": "",
    "storage browse": [
        {"name": "music", "folder": True, "size": 0, "modified": 1_700_000_000.0},
        {"name": HOSTILE, "folder": False, "size": 12_345_678, "modified": 1_700_000_000.0},
    ],
    "settings plan": {"changes": [CHANGE], "errors": {}},
    "settings export": 'version = 1\nname = "Kitchen"\n',
    "settings import": [CHANGE],
    "settings undo": [CHANGE],
    "trash list": [
        {
            "storage_id": 0x10001,
            "storage": "Files",
            "name": HOSTILE,
            "path": f"music/{HOSTILE}",
            "deleted": 1_700_000_000.0,
            "size": 5,
            "is_folder": False,
        }
    ],
    "trash restore": "Files",
    "trash empty": 2,
    "restart": None,
    "power off": None,
    "clock set": None,
    "factory reset": None,
    "logs": {
        "lines": [
            {"time": 1_700_000_000.0, "source": "responder", "priority": 6, "text": "READY"},
            {"time": 1_700_000_001.0, "source": "kernel", "priority": 3, "text": HOSTILE},
        ],
        "cursor": "c1",
    },
    "report": {"name": "report.zip", "data": "UEsFBg=="},
    "doctor": [
        {"about": "usb", "grade": "good", "text": "is there", "advice": ""},
        {"about": "wifi", "grade": "warning", "text": HOSTILE, "advice": "is it in reach?"},
    ],
    "update status": {
        "running": "0.1.0",
        "image": "0.1.0",
        "installed": ["0.1.0"],
        "chosen": "0.1.0",
        "trial": False,
        "starts": 0,
        "last": "",
        "keys": ["builder"],
    },
    "update find": [{"path": "/srv/share/new.mtp-update", "name": "new.mtp-update", "size": 9_999}],
    "update check": {
        "path": "/srv/share/new.mtp-update",
        "version": "0.2.0",
        "running": "0.1.0",
        "date": "2026-12-01",
        "notes": "Better.",
        "older": False,
        "machines": ["armv6l"],
        "boards": [],
        "base": 1,
        "size": 9_999,
        "key": "builder",
    },
    "update install": None,
    "update roll back": None,
}


def _hash(password: str) -> str:
    return passwords.hash_password(password)


@contextmanager
def appliance(root: Path) -> Iterator[FakeAppliance]:
    """Make the files, and let the services answer."""
    fake = FakeAppliance(root)
    (root / "run").mkdir()
    (root / "settings.toml").write_text("version = 1\n")
    status_file = StatusFile.claim(root / "run" / "status.json")
    assert status_file is not None
    fake.status_file = status_file
    verbs = fake.verbs()
    config = fake.config()
    assert config.helper is not None
    with (
        ControlServer(config.control, lambda: verbs, at_once=AT_ONCE),
        ControlServer(config.helper, lambda: verbs),
    ):
        yield fake
    status_file.close()


class Visitor:
    """A browser without scripts: it keeps cookies, and sends a form with its token."""

    def __init__(self, client: FlaskClient, host: str = HOST, *, over_wifi: bool = False) -> None:
        self.client = client
        self.client.environ_base[OVER_WIFI] = "yes" if over_wifi else ""
        self.base = f"http://{host}"

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, base_url=self.base, **options)

    def post(self, path: str, /, **fields: Any) -> TestResponse:
        data = {"token": self.token()} | fields
        return self.client.post(path, base_url=self.base, data=data)

    def token(self) -> str:
        found = TOKEN.search(self.get("/help").text)
        assert found is not None
        return found[1]

    def log_in(self, password: str = PASSWORD) -> None:
        answer = self.post("/login", password=password)
        assert answer.status_code == 303, answer.text

    def said(self) -> str:
        """What the next page says of the last deed."""
        return self.get("/help").text


def visitor(fake: FakeAppliance, *, helper: bool = True) -> Visitor:
    """Open the page anew, as if its process had just begun."""
    app = create_app(fake.config(helper=helper))
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return Visitor(app.test_client())
