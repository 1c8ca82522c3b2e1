# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to a new appliance: its settings, name and password, but no file in a storage."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from appliance import places
from appliance.errors import ApplianceError
from appliance.settings import examples, state
from appliance.settings.files import remove
from appliance.settings.store import SettingsFile

log = logging.getLogger(__name__)


def factory_reset(root: Path = Path("/")) -> None:
    """Write the shipped settings, and forget what a person has set elsewhere; `root`: a prefix.

    The settings first, which end the Wi-Fi: if power goes before the password does, the page is
    somebody's still, and is reset again.
    What the boot partition said stays known, so that an old file there is not taken over again.
    """
    settings, secrets, kept, page = (
        root / each.relative_to("/")
        for each in (places.SETTINGS, places.SECRETS, places.STATE, places.PAGE_STATE)
    )
    log.warning("RESET   to the settings of a new appliance")
    file = SettingsFile(settings, kept, keeps=False, secrets=secrets)
    if not settings.is_file():
        remove(settings)
    file.replace(examples.shipped())
    file.forget_secrets()
    file.forget()
    remove(kept / state.FILE_NAME)
    _empty(page)


def _empty(folder: Path) -> None:
    """Remove all that is in a folder of somebody else's, following no link."""
    if folder.is_symlink():
        raise ApplianceError(f"{folder} is a link", hint="make it a folder")
    with suppress(FileNotFoundError):
        for each in folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
