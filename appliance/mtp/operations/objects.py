# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as a tree: listing, describing, deleting, moving, copying.

Spec: MTP 1.1 appendix D.2.6 to D.2.8, D.2.10, D.2.11, D.2.18, D.2.25, D.2.26.
"""

from array import array
from collections.abc import Iterable, Sequence

from appliance.mtp.codes import (
    ALL,
    AssociationType,
    EventCode,
    ObjectPropertyCode,
    ProtectionStatus,
    ResponseCode,
)
from appliance.mtp.datasets import NO_THUMBNAIL, SOME_THUMBNAIL, ObjectInfo
from appliance.mtp.errors import MtpError
from appliance.mtp.formats import format_of, is_image
from appliance.mtp.operations.context import Context, data_reply, destination, is_root
from appliance.mtp.ports import ChangeKind, Entry
from appliance.mtp.properties import format_of_record, protection_of
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
    folder, form = record.is_folder, format_of_record(record)
    has_thumbnail = is_image(form) and context.store.makes_thumbnails
    info = ObjectInfo(
        storage_id=record.storage_id,
        format=form,
        protection=protection_of(record),
        size=record.size,
        parent=record.parent,
        association=AssociationType.GENERIC_FOLDER if folder else AssociationType.UNDEFINED,
        name=record.name,
        created=record.created,
        modified=record.modified,
        thumbnail=SOME_THUMBNAIL if has_thumbnail else NO_THUMBNAIL,
    )
    return data_reply(info.encode())


def delete_object(context: Context, request: Request) -> Reply:
    """Delete an object with all in it, or everything (0xFFFFFFFF), or everything of a format."""
    handle = request.parameter(0)
    if handle == ALL:
        _delete_all(context, request.parameter(1))
    else:
        _delete(context, handle)
    return Reply()


def _delete(context: Context, handle: int) -> None:
    """Delete; of what goes only in part, the others look again."""
    handle = context.store.current(handle)  # what is gone has no other one
    try:
        context.store.delete(handle, look=context.session.look)
    except MtpError as error:
        if error.code is ResponseCode.PARTIAL_DELETION:
            context.tell_others(ChangeKind.PLACE, handle)
        raise
    except Exception:  # nobody waits for it any longer
        context.tell_others(ChangeKind.PLACE, handle)
        raise
    context.tell_others(ChangeKind.REMOVED, handle)


def set_object_protection(context: Context, request: Request) -> Reply:
    """Take the write permission of an object (parameter 1) away, or give it back (2: 1 or 0)."""
    handle, status = request.parameter(0), request.parameter(1)
    if status not in (ProtectionStatus.NONE, ProtectionStatus.READ_ONLY):
        raise MtpError(ResponseCode.PARAMETER_NOT_SUPPORTED, f"protection {status:X}")
    context.store.set_protected(handle, protected=status == ProtectionStatus.READ_ONLY)
    handle, code = context.store.current(handle), ObjectPropertyCode.PROTECTION_STATUS
    context.tell_others_of(EventCode.OBJECT_PROP_CHANGED, handle, code)
    context.tell_others_of(EventCode.OBJECT_INFO_CHANGED, handle)
    return Reply()


def get_thumb(context: Context, request: Request) -> Reply:
    """Send a small image (JPEG) of the object in parameter 1."""
    return data_reply(context.store.thumbnail(request.parameter(0)).data)


def move_object(context: Context, request: Request) -> Reply:
    """Move an object (parameter 1) to a storage (2) and folder (3); its handle stays."""
    handle = request.parameter(0)
    storage_id, parent = _destination(context, request, handle)
    with context.telling_if_full(storage_id):
        context.store.move(handle, storage_id, parent, look=context.session.look)
    context.tell_others(ChangeKind.PLACE, handle)
    return Reply()


def copy_object(context: Context, request: Request) -> Reply:
    """Copy an object (parameter 1) to a storage (2) and folder (3); answers the new handle."""
    handle = request.parameter(0)
    storage_id, parent = _destination(context, request, handle)
    with context.telling_if_full(storage_id):
        look = context.session.look
        copied = context.store.copy(handle, storage_id, parent, look=look)
    context.tell_others(ChangeKind.ADDED, copied)
    return Reply(parameters=(copied,))


def _destination(context: Context, request: Request, handle: int) -> tuple[int, int]:
    """Where an object is to go; a storage that is not named is the one where it lies."""
    storage_id, parent = request.parameter(1), request.parameter(2)
    if storage_id in (0, ALL) and is_root(parent):
        storage_id = context.store.entry(handle).storage_id
    return destination(context, storage_id, parent)


def _select(context: Context, request: Request) -> Sequence[int]:
    storage_id, form, parent = (request.parameter(index) for index in range(3))
    check_format(form)
    handles = _scope(context, storage_id, parent)
    if form == 0:
        return handles
    return array("I", (each for each in handles if _is_of(context, each, form)))


def _scope(context: Context, storage_id: int, parent: int) -> Sequence[int]:
    store = context.store
    if not is_root(parent):
        storage_id, parent = destination(context, storage_id, parent)
        return store.children(storage_id, parent)
    if storage_id != ALL:
        if parent == 0:
            return store.tree(storage_id, look=context.session.look)
        return store.children(storage_id, 0)
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


def check_format(form: int) -> None:
    """Refuse a number that can be no format; 0 is any, 0xFFFFFFFF any image."""
    if form in (0, ALL) or 0x3000 <= form <= 0x3FFF or 0xB000 <= form <= 0xBFFF:
        return
    raise MtpError(ResponseCode.INVALID_OBJECT_FORMAT_CODE, f"format {form:X}")


def has_format(entry: Entry, form: int) -> bool:
    """Whether an object is of a format; 0xFFFFFFFF is any image format."""
    actual = format_of(entry.name, is_folder=entry.is_folder)
    return actual == form or (form == ALL and is_image(actual))


def _is_of(context: Context, handle: int, form: int) -> bool:
    try:
        return has_format(context.store.entry(handle), form)
    except MtpError:
        return False  # deleted by another session meanwhile


def _delete_all(context: Context, form: int) -> None:
    """Delete what is in all storages, or what is of one format; folders then stay."""
    check_format(form)
    deleted, failure = 0, None
    parent = ALL if form == 0 else 0
    for handle in _scope(context, ALL, parent):
        context.session.look()
        if form != 0 and not _is_of(context, handle, form):
            continue
        try:
            _delete(context, handle)
            deleted += 1
        except MtpError as error:
            deleted += error.code is ResponseCode.PARTIAL_DELETION
            failure = failure or error
    if failure is not None:
        raise MtpError(ResponseCode.PARTIAL_DELETION) if deleted else failure
