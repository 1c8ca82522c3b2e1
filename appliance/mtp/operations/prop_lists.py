# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of object properties (MTP 1.1 appendix D.2.32 to D.2.35)."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress

from appliance.mtp.codes import ALL, FormatCode, ObjectPropertyCode, ProtectionStatus, ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.operations.context import Context, DatasetSink, data_reply, destination
from appliance.mtp.operations.objects import check_format, has_format
from appliance.mtp.operations.properties import set_property
from appliance.mtp.operations.transfer import NewObject, announce, make_folder
from appliance.mtp.ports import Entry
from appliance.mtp.prop_lists import (
    Element,
    PropListSource,
    Subjects,
    decode_prop_list,
    encode_single,
)
from appliance.mtp.properties import (
    GROUP_SLOW,
    GROUPS,
    OBJECT_PROPERTIES,
    ObjectProperty,
    date_of,
    format_of_record,
    needs_full_record,
    object_property,
)
from appliance.mtp.transaction import Reply, Request, Sink
from appliance.mtp.wire import WireError, Writer
from appliance.values import dataclass

log = logging.getLogger(__name__)

_Code = ObjectPropertyCode
#: What stands in both halves of a size that the initiator does not know.
_SIZE_UNKNOWN = 0xFFFFFFFFFFFFFFFF


def get_object_prop_list(context: Context, request: Request) -> Reply:
    """Send properties of objects.

    Parameters: object (0: the roots; 0xFFFFFFFF: all there are), format (0: any), property
    (0xFFFFFFFF: all but the slow ones; 0: those of the group), group, depth (0: the object itself;
    n: what lies up to n levels in it; 0xFFFFFFFF: all that lies in it).
    """
    handle, form, code, group, depth = (request.parameter(index) for index in range(5))
    check_format(form)
    items = _selected(code, group)
    if handle not in (0, ALL) and depth == 0:
        return _of_one(context, handle, form, items)
    _require_quick(items)
    found = _below(context, handle, ALL if handle == ALL else depth)
    subjects = Subjects(each for each in found if _is_wanted(each, form))
    return Reply(source=PropListSource(context.store, subjects, items))


def _selected(code: int, group: int) -> Sequence[ObjectProperty]:
    if code == ALL:
        return [item for item in OBJECT_PROPERTIES.values() if item.group != GROUP_SLOW]
    if code != 0:
        return [object_property(code)]
    if group == 0:
        raise MtpError(ResponseCode.PARAMETER_NOT_SUPPORTED, "neither property nor group")
    if group not in GROUPS:
        raise MtpError(ResponseCode.GROUP_NOT_SUPPORTED, f"group {group:X}")
    return [item for item in OBJECT_PROPERTIES.values() if item.group == group]


def _require_quick(items: Sequence[ObjectProperty]) -> None:
    """Refuse slow properties of many objects: nobody waits for thousands of images to be looked at.

    Asked of one object at a time, which the refusal leads to, each is answered soon.
    """
    if any(item.group == GROUP_SLOW for item in items):
        refusal = ResponseCode.SPECIFICATION_BY_DEPTH_UNSUPPORTED
        raise MtpError(refusal, "what takes long of one object at a time only")


def _of_one(context: Context, handle: int, form: int, items: Sequence[ObjectProperty]) -> Reply:
    in_full = needs_full_record(item.code for item in items)
    record = context.store.record(handle, in_full=in_full)
    if not _is_wanted(record, form):
        return data_reply(encode_single(context.store, record, ()))
    actual = format_of_record(record)
    present = [item for item in items if item.applies_to(actual)]
    return data_reply(encode_single(context.store, record, present))


def _is_wanted(entry: Entry, form: int) -> bool:
    return form == 0 or has_format(entry, form)


def _below(context: Context, handle: int, depth: int) -> Iterator[Entry]:
    """List what lies in an object, or in all roots, so many levels deep."""
    if handle in (0, ALL):
        for storage_id in context.store.storage_ids():
            yield from _levels(context, storage_id, 0, depth)
        return
    entry = context.store.entry(handle)
    if entry.is_folder:
        yield from _levels(context, entry.storage_id, handle, depth)


def _levels(context: Context, storage_id: int, parent: int, depth: int) -> Iterator[Entry]:
    level = [parent]
    while level and depth:
        below: list[int] = []
        for folder in level:
            for entry in _children(context, storage_id, folder):
                yield entry
                if entry.is_folder:
                    below.append(entry.handle)
        level, depth = below, depth - 1


def _children(context: Context, storage_id: int, folder: int) -> Iterator[Entry]:
    """List one of several folders; what cannot be read does not hide the others."""
    context.session.look()
    try:
        handles = context.store.children(storage_id, folder)
    except MtpError as error:
        log.info("SKIP    folder %X: %s", folder, error)
        return
    for handle in handles:
        with suppress(MtpError):  # gone meanwhile
            yield context.store.entry(handle)


def set_object_prop_list(context: Context, request: Request) -> Sink:
    """Set properties, one after the other; where one fails, parameter 1 is its number from 0."""

    def finish(data: bytes) -> Reply:
        for index, element in enumerate(_decode(data)):
            try:
                _set(context, element)
            except MtpError as error:
                raise MtpError(error.code, error.detail, parameters=(index,)) from error
        return Reply()

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DATASET)


def _set(context: Context, element: Element) -> None:
    context.store.entry(element.handle)
    item = object_property(element.code)
    _check_type(item, element)
    set_property(context, element.handle, item, element.value)


def _check_type(item: ObjectProperty, element: Element) -> None:
    if element.data_type is not item.data_type:
        detail = f"{item.code.name} as {element.data_type.name}"
        raise MtpError(ResponseCode.INVALID_OBJECT_PROP_FORMAT, detail)


def _decode(data: bytes) -> list[Element]:
    try:
        return decode_prop_list(data)
    except WireError as error:
        raise MtpError(ResponseCode.INVALID_DATASET, str(error)) from None


def get_interdependent_prop_desc(context: Context, request: Request) -> Reply:
    """List which values of properties depend on each other, for the format in parameter 1: none."""
    check_format(request.parameter(0))
    return data_reply(bytes(Writer().u32(0)))


@dataclass(slots=True)
class _Wishes:
    """What a list for a new object asks for."""

    name: str = ""
    modified: float | None = None
    protected: bool = False


def send_object_prop_list(context: Context, request: Request) -> Sink:
    """Announce a file, or make a folder, by its properties.

    Parameters: storage, parent, format, size (upper and lower 32 bits). Answers storage, parent,
    handle and, where a property is refused, its number from 0. What was announced before waits no
    longer, as with SendObjectInfo.
    """
    context.session.conclude_upload()
    storage_id, asked, form, upper, lower = (request.parameter(index) for index in range(5))
    storage_id, parent = destination(context, storage_id, asked)

    def finish(data: bytes) -> Reply:
        wishes = _wishes(_decode(data), (storage_id, asked, 0))
        size = upper << 32 | lower
        new = NewObject(storage_id, parent, wishes.name, wishes.modified, wishes.protected)
        if form == FormatCode.ASSOCIATION:
            handle = make_folder(context, new)
        else:
            handle = announce(context, new, None if size == _SIZE_UNKNOWN else size)
        return Reply(parameters=(storage_id, asked, handle, 0))

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DATASET)


def _wishes(elements: Sequence[Element], place: tuple[int, int, int]) -> _Wishes:
    wishes = _Wishes()
    for index, element in enumerate(elements):
        try:
            _check_type(object_property(element.code), element)
            _wish(wishes, element)
        except MtpError as error:
            raise MtpError(error.code, error.detail, parameters=(*place, index)) from error
    if not wishes.name:
        raise MtpError(ResponseCode.INVALID_DATASET, "no file name", parameters=(*place, 0))
    return wishes


def _wish(wishes: _Wishes, element: Element) -> None:
    """Note what can be granted; the rest is the responder's to say, and no reason to refuse."""
    if element.code == _Code.OBJECT_FILE_NAME:
        wishes.name = str(element.value)
    elif element.code == _Code.NAME:
        wishes.name = wishes.name or str(element.value)
    elif element.code == _Code.DATE_MODIFIED:
        wishes.modified = date_of(element.value) if element.value else None
    elif element.code == _Code.PROTECTION_STATUS:
        wishes.protected = element.value == ProtectionStatus.READ_ONLY
