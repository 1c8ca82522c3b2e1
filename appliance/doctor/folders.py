# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the storages: are their folders there, for the service's user, with space left?"""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor.findings import Finding, good, note, problem, warning
from appliance.doctor.machine import Machine
from appliance.settings.schema import StorageSetting

_SMALL, _LITTLE = 16 << 20, 0.1
_WEAK = {"vfat": "FAT", "exfat": "exFAT", "msdos": "FAT"}


def storages(machine: Machine) -> Iterator[Finding]:
    """See to each storage's folder."""
    if not machine.settings.storages:
        advice = "mtp-appliance storage add FOLDER, or in the settings file"
        yield problem("storages", "there is none", advice)
    for each in machine.settings.storages:
        yield from _storage(machine, each)


def _storage(machine: Machine, storage: StorageSetting) -> Iterator[Finding]:
    about = f"storage {storage.name or storage.path.name}"
    path = machine.at(storage.path)
    try:
        status = path.stat()
    except FileNotFoundError:
        yield problem(about, f"{storage.path} is not there", f"mkdir {storage.path}")
        return
    except OSError as error:
        yield problem(about, f"{storage.path}: {error.strerror}", "see to its permissions")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield problem(about, f"{storage.path} is no folder", "name a folder")
        return
    found = [
        *_mount(machine, storage, about),
        *_rights(machine, storage, status, about),
        *_space(path, storage, about),
    ]
    yield from found or [good(about, f"{storage.path} is there, with room")]


def _mount(machine: Machine, storage: StorageSetting, about: str) -> Iterator[Finding]:
    mount = machine.mount_of(storage.path)
    if mount is None:
        return
    _, where, kind, options = mount
    if "ro" in options and not storage.read_only:
        advice = f"mount -o remount,rw {where}, or make the storage read-only"
        yield problem(about, f"{where} is mounted read-only", advice)
    if kind in _WEAK:
        text = f"{_WEAK[kind]} may lose what is being renamed when the power goes"
        yield note(about, text, "ext4 does not")


def _rights(
    machine: Machine, storage: StorageSetting, status: os.stat_result, about: str
) -> Iterator[Finding]:
    """See whether the service's user may read and write, as far as the mode bits say."""
    if not machine.is_real:
        return
    try:
        user = pwd.getpwnam(machine.user)
    except KeyError:
        return  # whoever serves here is somebody else
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    wanted = 0o5 if storage.read_only else 0o7
    if status.st_uid == user.pw_uid:
        given = status.st_mode >> 6
    elif status.st_gid in groups:
        given = status.st_mode >> 3
    else:
        given = status.st_mode
    if given & wanted != wanted:
        verb = "read" if storage.read_only else "write"
        advice = f"chown {machine.user}: {storage.path}"
        yield problem(about, f"{machine.user} may not {verb} in {storage.path}", advice)


def _space(path: Path, storage: StorageSetting, about: str) -> Iterator[Finding]:
    if storage.read_only:
        return
    space = os.statvfs(path)
    free, whole = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    if free < _SMALL:
        yield problem(about, "is full", "delete something; mtp-appliance trash empty may help")
    elif whole and free < _LITTLE * whole:
        yield warning(about, "is more than 90 % full", "make room before it is full")
