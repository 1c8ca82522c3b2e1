# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at this machine for the doctor: its settings, its status, and what lies around."""

from pathlib import Path

from appliance import places, status
from appliance.doctor.machine import Machine
from appliance.errors import ApplianceError
from appliance.services.status_file import find_status
from appliance.settings.store import SettingsFile


def look_at(settings: Path = places.SETTINGS, root: Path = Path("/")) -> Machine:
    """Gather what is set and what the appliance says; `root` is a prefix, for tests."""
    is_real = root == Path("/")
    path = settings
    if not is_real and not settings.is_relative_to(root):
        path = root / settings.relative_to("/")
    reading = SettingsFile(path, places.STATE, keeps=False).read()
    try:
        found = status.read(find_status() if is_real else root / places.STATUS.relative_to("/"))
    except ApplianceError:
        found = None
    return Machine(
        root,
        reading.settings,
        tuple(f"{path}: {each}" for each in reading.findings.errors),
        tuple(f"{path}: {each}" for each in reading.findings.warnings),
        found,
    )
