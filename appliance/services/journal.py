# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the journal for the settings page, without secrets. Spec: journalctl(1)."""

import json
import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from appliance.doctor.redaction import redact
from appliance.errors import ApplianceError

_RESPONDER = ("mtp-appliance.service",)
_GADGET = ("mtp-appliance-gadget.service", "mtp-appliance-apply.service")
_LEDS = ("mtp-appliance-leds.service",)
_WEB = ("mtp-appliance-web.service",)
_HELPER = ("mtp-appliance-helper.service",)
_WIFI = ("mtp-appliance-wifi.service",)
_KERNEL = "_TRANSPORT=kernel"
#: What can be looked at, and the units that it is about; the kernel has none.
SOURCES: dict[str, Sequence[str]] = {
    "all": (*_RESPONDER, *_GADGET, *_LEDS, *_WEB, *_WIFI, *_HELPER),
    "responder": _RESPONDER,
    "gadget": _GADGET,
    "leds": _LEDS,
    "web": _WEB,
    "wifi": _WIFI,
    "helper": _HELPER,
    "kernel": (),
}
MOST_LINES = 2000
_CURSOR = re.compile(r"[a-z0-9=;]{1,512}")
_FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,_TRANSPORT"
#: Seconds, and characters of one line.
_PATIENCE, _LONGEST = 30.0, 2000
_UNKNOWN = 6


def read(source: str, lines: int, after: str, secrets: Collection[str] = ()) -> dict[str, Any]:
    """Read the last lines, or those after a place; `secrets` are left out wherever they stand.

    Where the place is not there any more, the journal has turned over: then the last lines.
    """
    if after and not _CURSOR.fullmatch(after):
        raise ApplianceError("this is no place in the journal")
    found = _ask(_command(source, lines, after))
    if found is None and after:
        found = _ask(_command(source, lines, ""))
    if found is None:
        raise ApplianceError("the journal cannot be read", hint="journalctl has the reason")
    entries = list(_entries(found))
    cursor = str(entries[-1].get("__CURSOR", after)) if entries else after
    return {"lines": [_line(each, secrets) for each in entries], "cursor": cursor}


def _command(source: str, lines: int, after: str) -> list[str]:
    where = [f"--after-cursor={after}"] if after else []
    shown = ["--no-pager", "--quiet", "--output=json", f"--output-fields={_FIELDS}"]
    return ["journalctl", *shown, f"--lines={lines}", *where, *_matches(source)]


def _matches(source: str) -> list[str]:
    """Name what is looked for: what units say, and what systemd says of them."""
    alternatives = [
        match
        for unit in SOURCES[source]
        for match in ([f"_SYSTEMD_UNIT={unit}"], [f"UNIT={unit}", "_PID=1"])
    ]
    if source in ("all", "kernel"):
        alternatives.append([_KERNEL])
    words = [word for each in alternatives for word in ("+", *each)]
    return words[1:]


def _ask(command: Sequence[str]) -> bytes | None:
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=_PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _line(entry: dict[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    unit = _text(entry.get("_SYSTEMD_UNIT"))
    told_of = _text(entry.get("UNIT"))
    is_kernel = entry.get("_TRANSPORT") == "kernel"
    return {
        "time": _number(entry.get("__REALTIME_TIMESTAMP"), 0) / 1e6,
        "source": "kernel" if is_kernel else _source(told_of or unit),
        "priority": _number(entry.get("PRIORITY"), _UNKNOWN),
        "text": redact(_text(entry.get("MESSAGE"))[:_LONGEST], secrets),
    }


def _source(unit: str) -> str:
    for source, units in SOURCES.items():
        if source != "all" and unit in units:
            return source
    return unit


def _text(value: object) -> str:
    """Read a value; what is no text comes as a list of bytes, and one that repeats as a list."""
    if isinstance(value, list):
        if all(isinstance(each, int) and 0 <= each < 256 for each in value):
            return bytes(value).decode(errors="replace")
        return " ".join(map(_text, value))
    return value if isinstance(value, str) else ""


def _number(value: object, otherwise: int) -> int:
    try:
        return int(_text(value))
    except ValueError:
        return otherwise
