# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the machine itself: settings, services, software, clock, card."""

import time
from collections.abc import Iterator
from ctypes.util import find_library
from importlib.util import find_spec

from appliance import places
from appliance.doctor.findings import Finding, good, note, problem, unknown, warning
from appliance.doctor.machine import PAGE, PAGE_UNIT, UNITS, Machine, versions
from appliance.services.concerns import is_clock_unset, read_date

_FEW_WATCHES = 4096
_NO_SYSTEMD = "run/systemd/system"


def software(machine: Machine) -> Iterator[Finding]:
    """Name the versions, and what is missing of the software."""
    known = versions(machine)
    yield good("versions", ", ".join(f"{key} {value}" for key, value in known.items() if value))
    if not machine.is_real:
        return
    if find_library("aio") is None:
        advice = "apt install libaio1t64, on Debian 12 libaio1"
        yield warning("software", "libaio is missing, which USB needs", advice)
    for module, package, what in (
        ("functionfs", "functionfs", "which USB needs"),
        ("PIL", "pillow", "so there are no thumbnails"),
    ):
        if find_spec(module) is None:
            yield warning("software", f"{module} is missing, {what}", f"pip install {package}")


def settings(machine: Machine) -> Iterator[Finding]:
    """See whether the settings are understood."""
    for error in machine.errors:
        advice = "mend it: mtp-appliance settings check says when it is good"
        yield problem("settings", error, advice)
    for odd in machine.warnings:
        yield warning("settings", odd, "take it out, or spell it right")
    if not machine.errors and not machine.warnings:
        yield good("settings", "are understood")


def services(machine: Machine) -> Iterator[Finding]:
    """See whether everything runs that should."""
    if not machine.exists(_NO_SYSTEMD):
        yield note("services", "there is no systemd here that could run them")
        return
    has_page = machine.settings.network_function != "none"
    for unit, what in {**UNITS, **({PAGE_UNIT: PAGE} if has_page else {})}.items():
        told = machine.run(["systemctl", "show", "-p", "LoadState,ActiveState,NRestarts", unit])
        if told is None:
            yield unknown("services", "cannot be asked for", "is systemctl installed?")
            return
        values = dict(line.partition("=")[::2] for line in told.splitlines())
        yield from _service(unit, what, values)


def _service(unit: str, what: str, values: dict[str, str]) -> Iterator[Finding]:
    if values.get("LoadState") != "loaded":
        yield note("services", f"{what} is not installed here ({unit})")
    elif values.get("ActiveState") not in ("active", "reloading"):
        state = values.get("ActiveState", "unknown")
        yield problem("services", f"{what} is {state}", f"see why: journalctl -u {unit}")
    elif int(values.get("NRestarts") or 0):
        text = f"{what} had to be started anew {values['NRestarts']} times"
        yield warning("services", text, f"see why: journalctl -u {unit}")
    else:
        yield good("services", f"{what} runs")


def failures(machine: Machine) -> Iterator[Finding]:
    """Tell of units that have failed and not come back."""
    for unit in machine.names(places.FAILURES):
        reason = machine.read(places.FAILURES / unit) or "for an unknown reason"
        yield problem("services", f"{unit} failed: {reason}", f"see why: journalctl -u {unit}")


def running(machine: Machine) -> Iterator[Finding]:
    """Tell what the responder itself says."""
    if machine.status is None:
        yield warning("responder", "does not run", "systemctl start mtp-appliance")
        return
    for each in machine.status.warnings:
        yield warning("responder", each.text, each.hint)
    if not machine.status.warnings:
        yield good("responder", "runs, and has nothing to complain of")


def clock(machine: Machine) -> Iterator[Finding]:
    """See whether dates of files will be right."""
    if machine.is_real and is_clock_unset(time.time(), read_date(machine.at(places.RELEASE))):
        advice = "connect to a PC whose program sets it, or to a network with a time server"
        yield warning("clock", "has not been set: files get wrong dates", advice)
    elif machine.exists("sys/class/rtc/rtc0"):
        yield good("clock", "is kept by a clock chip")
    elif machine.exists("run/systemd/timesync/synchronized"):
        yield good("clock", "is kept by a time server")
    else:
        yield note("clock", "nothing keeps it without power; a PC may set it (set_clock)")


def watches(machine: Machine) -> Iterator[Finding]:
    """See whether enough folders can be watched."""
    text = machine.read("proc/sys/fs/inotify/max_user_watches") or ""
    if not text.isdecimal():
        yield unknown("watches", "their number cannot be seen", "")
    elif int(text) < _FEW_WATCHES:
        advice = "sysctl fs.inotify.max_user_watches=65536"
        yield warning("watches", f"only {text} folders can be watched for changes", advice)
    else:
        yield good("watches", f"{text} folders can be watched for changes")


def card(machine: Machine) -> Iterator[Finding]:
    """See what the kernel says of the card's health."""
    for name in machine.names("sys/block"):
        if not name.startswith("mmcblk"):
            continue
        life = machine.read(f"sys/block/{name}/device/life_time") or ""
        worn = [int(word, 16) for word in life.split() if word.startswith("0x")]
        if worn and max(worn) >= 0x0A:
            yield warning("card", f"{name} is worn out, it says", "save its files and replace it")
    log = machine.run(["dmesg", "--level=err,crit", "--notime"])
    if log is None:
        yield unknown("card", "the kernel's messages cannot be seen")
        return
    errors = [line for line in log.splitlines() if "mmc" in line or "I/O error" in line]
    if errors:
        advice = "save its files, and try another card and another power supply"
        yield warning("card", f"the kernel complains: {errors[-1].strip()[:120]}", advice)
    else:
        yield good("card", "the kernel has no complaint")
