# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that this responder has: one table, from which DeviceInfo is made too."""

from appliance.mtp.codes import OperationCode as Code
from appliance.mtp.operations import (
    device,
    editing,
    objects,
    prop_lists,
    properties,
    references,
    session,
    storages,
    transfer,
)
from appliance.mtp.operations.context import Context, Operation

__all__ = ["OPERATIONS", "Context", "Operation"]

OPERATIONS: dict[Code, Operation] = {
    Code.GET_DEVICE_INFO: Operation(
        device.get_device_info(lambda: OPERATIONS), needs_session=False
    ),
    Code.OPEN_SESSION: Operation(session.open_session, needs_session=False),
    Code.CLOSE_SESSION: Operation(session.close_session),
    Code.GET_STORAGE_IDS: Operation(storages.get_storage_ids),
    Code.GET_STORAGE_INFO: Operation(storages.get_storage_info),
    Code.GET_NUM_OBJECTS: Operation(objects.get_num_objects),
    Code.GET_OBJECT_HANDLES: Operation(objects.get_object_handles),
    Code.GET_OBJECT_INFO: Operation(objects.get_object_info),
    Code.GET_OBJECT: Operation(transfer.get_object),
    Code.GET_THUMB: Operation(objects.get_thumb),
    Code.DELETE_OBJECT: Operation(objects.delete_object),
    Code.SEND_OBJECT_INFO: Operation(transfer.send_object_info),
    Code.SEND_OBJECT: Operation(transfer.send_object, brings_content=True),
    Code.FORMAT_STORE: Operation(storages.format_store, offered=storages.may_format),
    Code.RESET_DEVICE: Operation(session.reset_device),
    Code.SELF_TEST: Operation(storages.self_test),
    Code.SET_OBJECT_PROTECTION: Operation(objects.set_object_protection, needs=2),
    Code.GET_DEVICE_PROP_DESC: Operation(device.get_device_prop_desc),
    Code.GET_DEVICE_PROP_VALUE: Operation(device.get_device_prop_value),
    Code.SET_DEVICE_PROP_VALUE: Operation(device.set_device_prop_value),
    Code.RESET_DEVICE_PROP_VALUE: Operation(device.reset_device_prop_value),
    Code.MOVE_OBJECT: Operation(objects.move_object, needs=3),
    Code.COPY_OBJECT: Operation(objects.copy_object, needs=3),
    Code.GET_PARTIAL_OBJECT: Operation(transfer.get_partial_object),
    Code.GET_PARTIAL_OBJECT_64: Operation(transfer.get_partial_object_64),
    Code.SEND_PARTIAL_OBJECT: Operation(editing.send_partial_object, needs=4),
    Code.TRUNCATE_OBJECT: Operation(editing.truncate_object, needs=3),
    Code.BEGIN_EDIT_OBJECT: Operation(editing.begin_edit_object),
    Code.END_EDIT_OBJECT: Operation(editing.end_edit_object),
    Code.GET_OBJECT_PROPS_SUPPORTED: Operation(properties.get_object_props_supported),
    Code.GET_OBJECT_PROP_DESC: Operation(properties.get_object_prop_desc),
    Code.GET_OBJECT_PROP_VALUE: Operation(properties.get_object_prop_value),
    Code.SET_OBJECT_PROP_VALUE: Operation(properties.set_object_prop_value),
    Code.GET_OBJECT_PROP_LIST: Operation(prop_lists.get_object_prop_list),
    Code.SET_OBJECT_PROP_LIST: Operation(prop_lists.set_object_prop_list),
    Code.GET_INTERDEPENDENT_PROP_DESC: Operation(prop_lists.get_interdependent_prop_desc),
    Code.SEND_OBJECT_PROP_LIST: Operation(prop_lists.send_object_prop_list),
    Code.GET_OBJECT_REFERENCES: Operation(references.get_object_references),
    Code.SET_OBJECT_REFERENCES: Operation(references.set_object_references),
}
