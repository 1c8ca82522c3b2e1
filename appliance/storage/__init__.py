# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of this machine as storages: what the protocol's core asks of `mtp.ports.ObjectStore`."""

from appliance.storage.catalogue import Catalogue
from appliance.storage.trash_days import TrashPolicy
from appliance.storage.volume import Folder
from appliance.storage.write_safety import Unsafe, WriteSafety

__all__ = ["Catalogue", "Folder", "TrashPolicy", "Unsafe", "WriteSafety"]
