# SPDX-License-Identifier: GPL-3.0-or-later
"""A report for people who are to find out what is wrong: one zip file, without secrets.

It names folders that are served, but no file in them and nothing of their content.
"""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from appliance import places
from appliance.doctor.checks import examine
from appliance.doctor.machine import UNITS, Machine, versions
from appliance.doctor.redaction import redact, without_names
from appliance.errors import ApplianceError
from appliance.gadget.configfs import GADGETS
from appliance.gadget.identity import serial_number
from appliance.settings.examples import of
from appliance.status import encode
from appliance.values import replace

#: Lines of each log, and bytes of one part; the beginning of a longer one is left out.
_LINES, _MOST = 4000, 1 << 20
_CONTROLLERS = Path("sys/class/udc")
_MORE_UNITS = (
    *("mtp-appliance-apply.service", "mtp-appliance-web.service"),
    *("mtp-appliance-helper.service", "mtp-appliance-wifi.service"),
)
_BOOT_FILES = ("config.txt", "cmdline.txt", "mtp-appliance-errors.txt")
_README = """\
A report of an MTP Appliance, made by `mtp-appliance report`.

In it: what the doctor finds, the settings, the status, the logs of the
appliance's services since the last start, what the kernel says of USB and of
the card, the USB gadget, the mounts, and versions.

Not in it: files, their names or content; passwords or their hashes; Wi-Fi
credentials; whole serial numbers and MAC addresses. Folders that are served are
named. With log_level "verbose" the log may name files: set it to "normal"
before, if that matters.
"""


def make_report(machine: Machine) -> bytes:
    """Make the zip file."""
    hidden = serials(machine)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _parts(machine):
            archive.writestr(name, redact(text[-_MOST:], hidden))
    return buffer.getvalue()


def serials(machine: Machine) -> set[str]:
    """Gather the numbers by which the machine could be known again."""
    return {serial_number(machine.root), *_serials(machine)}


def write_report(data: bytes, path: Path, *, force: bool) -> None:
    """Write it for its maker's eyes only; a file that is there stays, unless `force`."""
    if path.exists() and not force:
        raise ApplianceError(f"{path} is there already", hint="--force writes over it")
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ApplianceError(f"cannot write {path}: {error.strerror}") from None


def _parts(machine: Machine) -> Iterator[tuple[str, str]]:
    yield "README.txt", _README
    findings = [asdict(each) for each in examine(machine)]
    yield "doctor.json", json.dumps(findings, indent=1, ensure_ascii=False)
    yield "versions.json", json.dumps(versions(machine), indent=1)
    yield "settings.toml", of(machine.settings)
    yield "settings-errors.txt", "\n".join((*machine.errors, *machine.warnings))
    yield "status.json", _status(machine)
    yield "gadget.txt", "\n".join(_gadget(machine))
    yield "mounts.txt", machine.read("proc/self/mountinfo") or ""
    for name in _BOOT_FILES:
        yield f"boot/{name}", machine.read(places.BOOT_SETTINGS.with_name(name)) or ""
    yield from _logs(machine)


def _status(machine: Machine) -> str:
    """Give the status without the names of files that move."""
    if machine.status is None:
        return "(the appliance does not run)"
    moving = tuple(replace(each, name="(a file)") for each in machine.status.transfers)
    moved = tuple(replace(each, name="(a file)") for each in machine.status.recent)
    return encode(replace(machine.status, transfers=moving, recent=moved)).decode()


def _logs(machine: Machine) -> Iterator[tuple[str, str]]:
    count = str(_LINES)
    for unit in (*UNITS, *_MORE_UNITS):
        command = ["journalctl", "--no-pager", "-b", "-n", count, "-o", "short-precise", "-u", unit]
        told = machine.run(command)
        if told is not None and machine.settings.log_level != "verbose":
            told = without_names(told)
        yield f"logs/{unit}.txt", "(there is no journal)" if told is None else told
    kernel = machine.run(["dmesg"])
    words = ("dwc2", "usb", "udc", "gadget", "mmc", "I/O error", "ext4", "configfs")
    lines = [
        line
        for line in (kernel or "").splitlines()
        if any(word.lower() in line.lower() for word in words)
    ]
    text = "\n".join(lines[-_LINES:])
    yield "logs/kernel.txt", "(the kernel's messages cannot be seen)" if kernel is None else text


def _gadget(machine: Machine) -> Iterator[str]:
    """Give each attribute of each gadget, and what the controllers say."""
    for folder, folders, files in os.walk(machine.at(GADGETS)):
        folders.sort()
        for name in sorted(files):
            yield _attribute(machine, Path(folder, name).relative_to(machine.root))
    for controller in machine.names(_CONTROLLERS):
        for name in ("state", "current_speed", "function"):
            yield _attribute(machine, _CONTROLLERS / controller / name)


def _attribute(machine: Machine, path: Path) -> str:
    text = machine.read(path)
    return f"{path}: {'(not readable)' if text is None else text[:200]}"


def _serials(machine: Machine) -> Iterator[str]:
    for path in ("sys/firmware/devicetree/base/serial-number", "etc/machine-id"):
        text = machine.read(path)
        if text:
            yield text
    for line in (machine.read("proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "Serial":
            yield value.strip()
    for name in machine.names("sys/block"):
        for attribute in ("serial", "cid"):
            yield machine.read(f"sys/block/{name}/device/{attribute}") or ""
