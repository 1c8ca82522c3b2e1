# SPDX-License-Identifier: GPL-3.0-or-later
"""A status in plain words: on one screen, or in one line."""

import time
from collections.abc import Iterator

from appliance.cli.output import printable, size
from appliance.services.headline import headline
from appliance.status import Cable, Direction, Session, Status, StorageStatus, Transfer, Unsafe

_BAR = 20
_LABEL = 10
_ROADS = {"usb": "over USB", "usbredir": "in a virtual machine", "ptpip": "over the network"}
_CABLES = {
    Cable.NOT_USED: "",
    Cable.NO_CONTROLLER: "this machine cannot be a USB device",
    Cable.UNBOUND: "the PC is not shown anything yet",
    Cable.DETACHED: "none at the cable",
    Cable.ATTACHED: "there is one at the cable, which has not taken notice yet",
    Cable.CONFIGURED: "connected by the cable",
    Cable.SUSPENDED: "it sleeps, or the cable is out",
}


def screen(status: Status, now: float) -> list[str]:
    """Say all that there is to know."""
    lines = [f"{printable(status.name) or 'MTP Appliance'}: {headline(status)}", ""]
    for label, text in _rows(status, now):
        lines.append(f"{label:<{_LABEL}}{text}".rstrip())
    for warning in status.warnings:
        lines += ["", f"Warning: {printable(warning.text)}"]
        if warning.hint:
            lines.append(f"{'':<9}{printable(warning.hint)}")
    return lines


def line(status: Status, now: float) -> str:
    """Say what goes on, with the time."""
    moving = [f"{_name(each)} {_progress(each)}" for each in status.transfers]
    unsafe = [_unsafe(status.unsafe, now)] if status.unsafe.files else []
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    return "; ".join([f"{clock} {headline(status)}", *moving, *unsafe])


def _rows(status: Status, now: float) -> Iterator[tuple[str, str]]:
    cable = _CABLES[status.usb.cable]
    if cable:
        speed = f", {printable(status.usb.speed)}" if status.usb.speed else ""
        yield "PC", f"{cable}{speed}"
    for session in status.sessions:
        yield "", _session(session, now)
    if not cable and not status.sessions:
        yield "PC", "none has come"
    for transfer in status.transfers:
        yield _direction(transfer), f"{_name(transfer)}: {_progress(transfer)}"
    if status.unsafe.files:
        yield "Not safe", _unsafe(status.unsafe, now)
    for index, storage in enumerate(status.storages):
        yield "" if index else "Storages", _storage(storage)
    yield "So far", _totals(status)
    if status.page:
        yield "Settings", printable(status.page)
    versions = (f"{name} {version}" for name, version in status.versions.items())
    yield "Running", f"for {_duration(now - status.started)}; {printable(', '.join(versions))}"


def _session(session: Session, now: float) -> str:
    who = printable(session.client) or "a program"
    peer = f" from {printable(session.peer)}" if session.peer else ""
    road = _ROADS.get(session.road, printable(session.road))
    return f"{who}{peer} {road}, for {_duration(now - session.since)}"


def _direction(transfer: Transfer) -> str:
    return "Sending" if transfer.direction is Direction.IN else "Receiving"


def _name(transfer: Transfer) -> str:
    return printable(transfer.name) or "a file"


def _progress(transfer: Transfer) -> str:
    parts = [size(transfer.done)]
    if transfer.total:
        parts = [
            f"{size(transfer.done)} of {size(transfer.total)}",
            f"{100 * transfer.done // transfer.total} %",
        ]
    if transfer.rate:
        parts.append(f"{size(transfer.rate)}/s")
        if transfer.total and transfer.done < transfer.total:
            left = (transfer.total - transfer.done) / transfer.rate
            parts.append(f"{_duration(left)} left")
    return ", ".join(parts)


def _unsafe(unsafe: Unsafe, now: float) -> str:
    files = "1 file" if unsafe.files == 1 else f"{unsafe.files} files"
    left = f" for {_duration(unsafe.until - now)}" if unsafe.until > now else ""
    return f"{files}, {size(unsafe.size)}, not on the card yet: do not unplug{left}"


def _storage(storage: StorageStatus) -> str:
    name, path = printable(storage.name), printable(storage.path)
    if not storage.capacity:
        return f"{name}: {printable(storage.state)}; {path}"
    used = max(0.0, min(1.0, 1 - storage.free / storage.capacity))
    bar = ("#" * round(used * _BAR)).ljust(_BAR, ".")
    access = ", read-only" if storage.read_only else ""
    free = f"{size(storage.free)} of {size(storage.capacity)} free"
    return f"[{bar}] {name}: {free}{access}; {path}"


def _totals(status: Status) -> str:
    totals = status.totals
    received = f"{_files(totals.files_out)} ({size(totals.bytes_out)}) from the PC"
    return f"{received}, {_files(totals.files_in)} ({size(totals.bytes_in)}) to it"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _duration(seconds: float) -> str:
    """Say a time in the two largest units that matter."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
