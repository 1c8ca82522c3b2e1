# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom. ARCHITECTURE.md says why; the tables here are the rules themselves."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The protocol core, lowest first. A module imports from rows above its own only.
CORE_LAYERS = (
    ("codes",),
    ("wire", "errors", "formats"),
    ("transaction",),
    ("ports", "device_ports", "monitor", "containers", "ptpip_packets", "datasets", "descriptions"),
    ("session", "device", "properties"),
    ("audience", "prop_lists"),
    ("operations.context",),
    ("operations.objects", "operations.properties", "operations.transfer"),
    ("operations.*",),
    ("operations",),
    ("responder",),
)

# All that the core uses of the standard library: values, no input or output, no clock, no threads.
CORE_STDLIB = {
    *(
        "abc",
        "array",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "itertools",
    ),
    *("logging", "math", "operator", "re", "struct", "sys", "types", "typing", "unicodedata"),
}

# What each room may import of the project besides itself. A name stands for all that is in it.
MTP_VALUES = tuple(
    f"appliance.mtp.{m}" for m in ("codes", "device_ports", "errors", "ports", "transaction")
)
ROOMS: dict[str, tuple[str, ...]] = {
    "appliance.c_library": (),
    "appliance.enums": (),
    "appliance.errors": (),
    "appliance.control": ("appliance.errors",),
    "appliance.log": ("appliance.errors",),
    "appliance.places": (),
    "appliance.sockets": (),
    "appliance.status": ("appliance.errors", "appliance.settings.files"),
    "appliance.thumbnailer": (),
    "appliance.values": (),
    "appliance.mtp": (),
    "appliance.settings": ("appliance.errors", "appliance.places", *MTP_VALUES),
    "appliance.storage": ("appliance.errors", *MTP_VALUES),
    "appliance.transports": ("appliance.errors", "appliance.mtp", "appliance.sockets"),
    "appliance.gadget": ("appliance.errors", "appliance.places", "appliance.mtp.device_ports"),
    "appliance.network": ("appliance.errors",),
    "appliance.leds": ("appliance.errors", "appliance.places", "appliance.status"),
    "appliance.update": ("appliance.errors", "appliance.settings.files"),
    "appliance.doctor": (
        *("appliance.errors", "appliance.places", "appliance.settings", "appliance.status"),
        *("appliance.gadget", "appliance.network"),
        *("appliance.services.gadget", "appliance.services.gadget_status"),
        "appliance.services.concerns",
    ),
    # The one that puts the page on its server.
    "appliance.services.webd": ("appliance", "webui"),
    "appliance.services": ("appliance",),
    "appliance.cli": ("appliance",),
    "appliance.__main__": ("appliance.cli",),
    "webui": (
        *("appliance.settings", "appliance.status", "appliance.errors", "appliance.places"),
        *("appliance.control", "appliance.leds.patterns"),
    ),
}

# At everyone's hand, as the standard library is, of which they make parts cheaper to begin with.
AT_HAND = ("appliance.c_library", "appliance.enums", "appliance.values")

# Inside what a room may import, what it may not.
EXCEPT: dict[str, tuple[str, ...]] = {
    "appliance.transports": ("appliance.mtp.operations",),
    "appliance.services": ("appliance.cli",),
    "appliance.services.webd": ("appliance.cli",),
}

# Each third-party package, and the only modules that know it.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "functionfs": ("appliance.transports.functionfs", "appliance.transports.aio"),
    "libaio": ("appliance.transports.functionfs", "appliance.transports.aio"),
    "ioctl_opt": ("appliance.transports.functionfs", "appliance.transports.aio"),
    "pyinotify": ("appliance.storage.watch",),
    "tomlkit": ("appliance.settings.document",),
    "PIL": ("appliance.thumbnailer",),
    "nacl": ("appliance.update.signature",),
    "gpiozero": ("appliance.leds.board",),
    "flask": ("webui",),
    "waitress": ("appliance.services.page_server",),
    "werkzeug": ("webui",),
    "markupsafe": ("webui",),
    "flask_babel": ("webui.languages",),
    "babel": ("webui.languages",),
    "jinja2": ("webui.app",),
    "itsdangerous": ("webui.cookies",),
}


def is_within(module: str, name: str) -> bool:
    """Whether `module` is what `name` stands for: itself, or something in it."""
    return module == name or module.startswith(f"{name}.")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def project_modules() -> set[str]:
    return {
        module_name(path) for room in ("appliance", "webui") for path in (ROOT / room).rglob("*.py")
    }


def imports(module: str, source: str, modules: set[str], *, package: bool) -> Iterator[str]:
    """Everything that a module imports, wherever in it: at the top, in a function, for types."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + package]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in modules else base


def violations(module: str, source: str, modules: set[str], *, package: bool = False) -> list[str]:
    """Each rule that a module breaks, as a line for a person."""
    found = imports(module, source, modules, package=package)
    return [f"{module}: {wrong}" for name in found for wrong in _wrong(module, name)]


def _wrong(module: str, name: str) -> Iterator[str]:
    top = name.partition(".")[0]
    if top in ("appliance", "webui"):
        yield from _wrong_room(module, name)
        if is_within(module, "appliance.mtp") and is_within(name, "appliance.mtp"):
            yield from _wrong_layer(module, name)
    elif top in sys.stdlib_module_names:
        if is_within(module, "appliance.mtp") and top not in CORE_STDLIB:
            yield f"the protocol core does no input or output; it must not import {name}"
    elif not any(is_within(module, home) for home in THIRD_PARTY.get(top, ())):
        homes = " and ".join(THIRD_PARTY.get(top, ())) or "no module (see THIRD_PARTY)"
        yield f"{top} is for {homes} only"


def _wrong_room(module: str, name: str) -> Iterator[str]:
    if name in ("appliance", *AT_HAND) or module == "appliance":
        if module == "appliance":
            yield f"the package itself imports nothing, so that it starts fast; not {name}"
        return
    room = next((room for room in ROOMS if is_within(module, room)), None)
    if room is None:
        yield "is in no room of ROOMS: say there what it may import"
        return
    allowed = any(is_within(name, other) for other in (room, *ROOMS[room]))
    refused = any(is_within(name, other) for other in EXCEPT.get(room, ()))
    if not allowed or refused:
        yield f"{room} may import {', '.join(ROOMS[room]) or 'nothing of ours'}; not {name}"


def _wrong_layer(module: str, name: str) -> Iterator[str]:
    own, other = _layer(module), _layer(name)
    if own is None or other is None:
        yield f"{module if own is None else name} is in no row of CORE_LAYERS"
    elif own <= other:
        yield f"{name} is not below it in CORE_LAYERS"


def _layer(module: str) -> int | None:
    """The row of a module of the core; a row's exact names count before its patterns."""
    name = module.removeprefix("appliance.mtp").removeprefix(".")
    if not name:
        return -1
    rows = {entry: index for index, row in enumerate(CORE_LAYERS) for entry in row}
    pattern = f"{name.rpartition('.')[0]}.*"
    return rows.get(name, rows.get(pattern))


@pytest.mark.parametrize("module", sorted(project_modules()))
def test_module_imports_only_what_its_room_may(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    package = path.is_dir()
    source = (path / "__init__.py" if package else path.with_suffix(".py")).read_text()
    broken = violations(module, source, project_modules(), package=package)
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("appliance.mtp.wire", "from appliance.mtp.codes import DataType"),
        ("appliance.mtp.wire", "from appliance.values import dataclass"),
        ("appliance.mtp.operations.objects", "from .context import Context"),
        ("appliance.mtp.responder", "from appliance.mtp.operations import OPERATIONS"),
        ("appliance.storage.folder", "import os\nfrom appliance.mtp.errors import MtpError"),
        ("appliance.storage.watch", "import pyinotify"),
        ("appliance.transports.ptpip", "import socket\nfrom appliance.mtp import ptpip_packets"),
        ("appliance.transports.functionfs", "import functionfs.ch9"),
        ("appliance.cli", "def main():\n    from appliance.services import mtpd"),
        ("webui.pages.home", "import flask\nfrom appliance.status import Status"),
    ],
)
def test_allowed(module: str, source: str) -> None:
    assert violations(module, source, project_modules()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("appliance.mtp.codes", "from appliance.mtp.wire import Reader", "not below"),
        ("appliance.mtp.wire", "import os", "no input or output"),
        ("appliance.mtp.session", "import time as clock", "no input or output"),
        ("appliance.mtp.session", "def f():\n    import threading", "no input or output"),
        ("appliance.mtp.responder", "from appliance.storage import Folder", "nothing of ours"),
        ("appliance.mtp.brandnew", "from appliance.mtp.codes import ALL", "no row"),
        ("appliance.mtp.operations.objects", "from . import transfer", "not below"),
        ("appliance.storage.folder", "from appliance.transports import ptpip", "not appliance.tr"),
        ("appliance.storage.folder", "from ..transports import ptpip", "not appliance.tr"),
        ("appliance.storage.names", "from appliance.mtp.wire import Reader", "not appliance.mtp.w"),
        ("appliance.storage.names", "from appliance.mtp import wire", "not appliance.mtp.w"),
        ("appliance.transports.ptpip", "import appliance.mtp.operations.objects", "not appliance"),
        ("appliance.transports.ptpip", "import functionfs", "functionfs is for"),
        ("appliance.gadget.plan", "from appliance.services import mtpd", "not appliance.services"),
        ("appliance.storage.watch", "import requests", "requests is for no module"),
        ("appliance.storage.thumbnails", "from PIL import Image", "PIL is for"),
        ("appliance.thumbnailer", "from appliance.storage import Folder", "nothing of ours"),
        ("appliance.kitchen", "from appliance.errors import ApplianceError", "no room"),
        ("appliance", "from appliance.cli import main", "imports nothing"),
        ("appliance.control", "from appliance.services import mtpd", "not appliance.services"),
        ("appliance.values", "from appliance.errors import ApplianceError", "nothing of ours"),
        ("webui.pages.home", "from appliance.storage import Folder", "not appliance.storage"),
        ("webui.pages.home", "from appliance.leds.board import Board", "not appliance.leds.board"),
    ],
)
def test_refused(module: str, source: str, complaint: str) -> None:
    broken = violations(module, source, project_modules())
    assert len(broken) == 1, broken
    assert complaint in broken[0]
    assert broken[0].startswith(module)
