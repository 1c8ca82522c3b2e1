# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as a tree: listing, describing, deleting, moving, copying.

Spec: MTP 1.1 appendix D.2.6 to D.2.8, D.2.11, D.2.25, D.2.26.
"""

from array import array
from collections.abc import Iterable, Sequence

from appliance.mtp.codes import ALL, AssociationType, FormatCode, ProtectionStatus, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import format_of
from appliance.mtp.operations.context import Context, data_reply, destination, is_root
from appliance.mtp.transaction import Reply, Request
from appliance.mtp.wire import encode_u32_array


def get_num_objects(context: Context, request: Request) -> Reply:
    """Count what GetObjectHandles would list; the number is response parameter 1."""
    return Reply(parameters=(len(_select(context, request)),))


def get_object_handles(context: Context, request: Request) -> Reply:
    """List handles: storage (all: 0xFFFFFFFF), format (any: 0), parent.

    Parent 0 is every object at any depth, 0xFFFFFFFF what lies in the root, else what lies in that
    folder. Format 0xFFFFFFFF is every image format.
    """
    return data_reply(encode_u32_array(_select(context, request)))


def get_object_info(context: Context, request: Request) -> Reply:
    """Describe the object in parameter 1."""
    record = context.store.record(request.parameter(0))
    folder = record.is_folder
    info = ObjectInfo(
        storage_id=record.storage_id,
        format=format_of(record.name, is_folder=folder),
        protection=ProtectionStatus.READ_ONLY if record.protected else ProtectionStatus.NONE,
        size=record.size,
        parent=record.parent,
        association=AssociationType.GENERIC_FOLDER if folder else AssociationType.UNDEFINED,
        name=record.name,
        created=record.created,
        modified=record.modified,
    )
    return data_reply(info.encode())


def delete_object(context: Context, request: Request) -> Reply:
    """Delete an object with all in it, or everything (0xFFFFFFFF), or everything of a format."""
    handle = request.parameter(0)
    if handle == ALL:
        _delete_all(context, request.parameter(1))
    else:
        context.store.delete(handle)
    return Reply()


def move_object(context: Context, request: Request) -> Reply:
    """Move an object (parameter 1) to a storage (2) and folder (3); its handle stays."""
    handle = request.parameter(0)
    context.store.move(handle, *_destination(context, request, handle))
    return Reply()


def copy_object(context: Context, request: Request) -> Reply:
    """Copy an object (parameter 1) to a storage (2) and folder (3); answers the new handle."""
    handle = request.parameter(0)
    copied = context.store.copy(handle, *_destination(context, request, handle))
    return Reply(parameters=(copied,))


def _destination(context: Context, request: Request, handle: int) -> tuple[int, int]:
    """Where an object is to go; a storage that is not named is the one where it lies."""
    storage_id, parent = request.parameter(1), request.parameter(2)
    if storage_id in (0, ALL) and is_root(parent):
        storage_id = context.store.entry(handle).storage_id
    return destination(context, storage_id, parent)


def _select(context: Context, request: Request) -> Sequence[int]:
    storage_id, form, parent = (request.parameter(index) for index in range(3))
    _check_format(form)
    handles = _scope(context, storage_id, parent)
    if form == 0:
        return handles
    return array("I", (each for each in handles if _has_format(context, each, form)))


def _scope(context: Context, storage_id: int, parent: int) -> Sequence[int]:
    store = context.store
    if not is_root(parent):
        storage_id, parent = destination(context, storage_id, parent)
        return store.children(storage_id, parent)
    if storage_id != ALL:
        return store.tree(storage_id) if parent == 0 else store.children(storage_id, 0)
    handles = array("I")
    for each in store.storage_ids():
        handles.extend(_available(context, each, parent))
    return handles


def _available(context: Context, storage_id: int, parent: int) -> Iterable[int]:
    """List one of several storages; one that is not there does not hide the others."""
    try:
        return _scope(context, storage_id, parent)
    except MtpError as error:
        if error.code is not ResponseCode.STORE_NOT_AVAILABLE:
            raise
        return ()


def _check_format(form: int) -> None:
    if form in (0, ALL) or 0x3000 <= form <= 0x3FFF or 0xB000 <= form <= 0xBFFF:
        return
    raise MtpError(ResponseCode.INVALID_OBJECT_FORMAT_CODE, f"format {form:X}")


def _has_format(context: Context, handle: int, form: int) -> bool:
    try:
        entry = context.store.entry(handle)
    except MtpError:
        return False  # deleted by another session meanwhile
    actual = format_of(entry.name, is_folder=entry.is_folder)
    return actual == form or (form == ALL and actual & 0xFF00 == FormatCode.EXIF_JPEG & 0xFF00)


def _delete_all(context: Context, form: int) -> None:
    """Delete what is in all storages, or what is of one format; folders then stay."""
    _check_format(form)
    deleted, failure = 0, None
    parent = ALL if form == 0 else 0
    for handle in _scope(context, ALL, parent):
        if form != 0 and not _has_format(context, handle, form):
            continue
        try:
            context.store.delete(handle)
            deleted += 1
        except MtpError as error:
            deleted += error.code is ResponseCode.PARTIAL_DELETION
            failure = failure or error
    if failure is not None:
        raise MtpError(ResponseCode.PARTIAL_DELETION) if deleted else failure
