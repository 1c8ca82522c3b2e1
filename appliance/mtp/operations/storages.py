# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages: GetStorageIDs, GetStorageInfo, FormatStore, SelfTest.

Spec: MTP 1.1 appendix D.2.4, D.2.5, D.2.15, D.2.17.
"""

from appliance.mtp.audience import listing_anew
from appliance.mtp.codes import ResponseCode
from appliance.mtp.datasets import StorageInfo
from appliance.mtp.errors import MtpError
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


def may_format(context: Context) -> bool:
    """Whether FormatStore is there at all."""
    return context.store.may_format


def format_store(context: Context, request: Request) -> Reply:
    """Empty the storage in parameter 1; its file system (parameter 2) stays what it is."""
    storage_id = request.parameter(0)
    try:
        context.store.format(storage_id, look=context.session.look)
    except MtpError as error:
        if error.code is ResponseCode.PARTIAL_DELETION:
            _tell_to_look_again(context, storage_id)
        raise
    except Exception:  # nobody waits for it any longer
        _tell_to_look_again(context, storage_id)
        raise
    _tell_to_look_again(context, storage_id)
    return Reply()


def _tell_to_look_again(context: Context, storage_id: int) -> None:
    for event in listing_anew([storage_id]):
        context.tell_others_of(event.code, *event.parameters)


def self_test(context: Context, request: Request) -> Reply:
    """Look whether every storage can be read; SelfTestFailed where one cannot."""
    for storage_id in context.store.storage_ids():
        try:
            context.store.storage(storage_id)
            context.store.children(storage_id, 0)
        except MtpError as error:
            raise MtpError(ResponseCode.SELF_TEST_FAILED, str(error)) from error
    return Reply()
