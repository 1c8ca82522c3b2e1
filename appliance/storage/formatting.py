# SPDX-License-Identifier: GPL-3.0-or-later
"""Formatting a storage: everything that is shown in it goes, and the file system stays what it is.

All that lies in the root is deleted: into the trash where one is kept; with what is hidden in a
folder that is shown, and without what is hidden in the root. What has no write bit stays.
"""

import logging
from contextlib import AbstractContextManager

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import Look
from appliance.storage.deletion import Deletion
from appliance.storage.lookup import Lookup

log = logging.getLogger(__name__)


def empty(
    lookup: Lookup,
    lock: AbstractContextManager[object],
    deletion: Deletion,
    storage_id: int,
    look: Look,
) -> None:
    """Delete all that is shown. PartialDeletion where something of it stays.

    Before each object and in it `look` is asked; what that raises leaves the rest.
    """
    with lock:
        volume = lookup.volume(storage_id)
        volume.require_writable()
        lookup.refresh(volume.root)
        handles = lookup.table.children(volume.root)[:]
    errors = list(filter(None, (_delete(deletion, handle, look) for handle in handles)))
    log.info("FORMAT  %d of %d went from %s", len(handles) - len(errors), len(handles), volume.name)
    if not errors:
        return
    if len(errors) == len(handles):
        raise errors[0]
    raise MtpError(ResponseCode.PARTIAL_DELETION, str(errors[0]))


def _delete(deletion: Deletion, handle: int, look: Look) -> MtpError | None:
    """Delete one object; what hinders it. One that has gone meanwhile is as good as deleted."""
    look()
    try:
        deletion.delete(handle, look=look)
    except MtpError as error:
        if error.code is not ResponseCode.INVALID_OBJECT_HANDLE:
            return error
    return None
