# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that this responder has: one table, from which DeviceInfo is made too."""

from appliance.mtp.codes import OperationCode as Code
from appliance.mtp.operations import device, objects, properties, session, storages, transfer
from appliance.mtp.operations.context import Context, Operation

__all__ = ["OPERATIONS", "Context", "Operation"]

OPERATIONS: dict[Code, Operation] = {
    Code.GET_DEVICE_INFO: Operation(
        device.get_device_info(lambda: tuple(OPERATIONS)), needs_session=False
    ),
    Code.OPEN_SESSION: Operation(session.open_session, needs_session=False),
    Code.CLOSE_SESSION: Operation(session.close_session),
    Code.GET_STORAGE_IDS: Operation(storages.get_storage_ids),
    Code.GET_STORAGE_INFO: Operation(storages.get_storage_info),
    Code.GET_NUM_OBJECTS: Operation(objects.get_num_objects),
    Code.GET_OBJECT_HANDLES: Operation(objects.get_object_handles),
    Code.GET_OBJECT_INFO: Operation(objects.get_object_info),
    Code.GET_OBJECT: Operation(transfer.get_object),
    Code.DELETE_OBJECT: Operation(objects.delete_object),
    Code.SEND_OBJECT_INFO: Operation(transfer.send_object_info),
    Code.SEND_OBJECT: Operation(transfer.send_object, keeps_upload=True),
    Code.RESET_DEVICE: Operation(session.reset_device),
    Code.GET_DEVICE_PROP_DESC: Operation(device.get_device_prop_desc),
    Code.GET_DEVICE_PROP_VALUE: Operation(device.get_device_prop_value),
    Code.SET_DEVICE_PROP_VALUE: Operation(device.set_device_prop_value),
    Code.RESET_DEVICE_PROP_VALUE: Operation(device.reset_device_prop_value),
    Code.MOVE_OBJECT: Operation(objects.move_object),
    Code.COPY_OBJECT: Operation(objects.copy_object),
    Code.GET_PARTIAL_OBJECT: Operation(transfer.get_partial_object),
    Code.GET_OBJECT_PROPS_SUPPORTED: Operation(properties.get_object_props_supported),
    Code.GET_OBJECT_PROP_DESC: Operation(properties.get_object_prop_desc),
    Code.GET_OBJECT_PROP_VALUE: Operation(properties.get_object_prop_value),
    Code.SET_OBJECT_PROP_VALUE: Operation(properties.set_object_prop_value),
}
