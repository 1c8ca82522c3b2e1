# SPDX-License-Identifier: GPL-3.0-or-later
"""GetStorageIDs and GetStorageInfo (MTP 1.1 appendix D.2.4, D.2.5)."""

from appliance.mtp.datasets import StorageInfo
from appliance.mtp.operations.context import Context, data_reply
from appliance.mtp.transaction import Reply, Request
from appliance.mtp.wire import encode_u32_array


def get_storage_ids(context: Context, request: Request) -> Reply:
    """List the storages."""
    return data_reply(encode_u32_array(context.store.storage_ids()))


def get_storage_info(context: Context, request: Request) -> Reply:
    """Describe the storage in parameter 1."""
    storage = context.store.storage(request.parameter(0))
    info = StorageInfo(
        capacity=storage.capacity,
        free=storage.free,
        read_only=storage.read_only,
        description=storage.name,
        volume_identifier=f"{context.device.identity.serial_number}-{storage.storage_id:08X}",
    )
    return data_reply(info.encode())
