# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing files in place, by the operations of the Android extension (0x95C2 to 0x95C5).

An edit that BeginEditObject began is made durable by EndEditObject, or when the session ends; one
write or cut without it is made durable at once. What becomes of it when the file is deleted or
replaced meanwhile: rule 4 of the session.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.monitor import Direction, Movement
from appliance.mtp.operations.context import Context
from appliance.mtp.ports import ChangeKind, Edit
from appliance.mtp.transaction import Reply, Request, Sink


def begin_edit_object(context: Context, request: Request) -> Reply:
    """Begin to change the file in parameter 1; once more is no error."""
    handle = request.parameter(0)
    begun = context.session.edit_of(handle)
    if begun is not None and begun.holds():
        return Reply()
    if begun is not None:
        context.session.give_up_edit(handle)
    context.session.begin_edit(handle, _edit(context, handle))
    return Reply()


def end_edit_object(context: Context, request: Request) -> Reply:
    """Make the changes to the file in parameter 1 durable, and tell the others."""
    context.session.take_edit(request.parameter(0)).commit()
    return Reply()


def truncate_object(context: Context, request: Request) -> Reply:
    """Cut the file in parameter 1, or lengthen it, to a size (2: lower 32 bits, 3: upper)."""
    handle = request.parameter(0)
    size = request.parameter(1) | request.parameter(2) << 32
    _change(context, handle, lambda edit: edit.truncate(size))
    return Reply()


def send_partial_object(context: Context, request: Request) -> Sink:
    """Put parameter 4 bytes into a file at an offset (2: lower 32 bits, 3: upper).

    Answers how many were written; more than announced are refused, fewer are not.
    """
    handle, announced = request.parameter(0), request.parameter(3)
    offset = request.parameter(1) | request.parameter(2) << 32
    begun = context.session.edit_of(handle)
    edit = begun or _edit(context, handle)
    name, visit = context.store.entry(handle).name, context.visit
    movement = visit.begin(handle, name, Direction.OUT, None, part=True)

    def end() -> None:
        visit.end(movement, whole=False)
        if begun is None:
            edit.commit()

    return _PartSink(edit, offset, announced, movement, end=end)


class _PartSink:
    """Writes what comes straight into the file."""

    def __init__(
        self,
        edit: Edit,
        offset: int,
        announced: int,
        movement: Movement,
        *,
        end: Callable[[], None],
    ) -> None:
        self.expected: int | None = announced
        self._edit = edit
        self._offset = offset
        self._announced = announced
        self._received = 0
        self._movement = movement
        self._end = end

    def write(self, data: memoryview) -> None:
        """Write the next bytes."""
        if self._received + len(data) > self._announced:
            raise MtpError(ResponseCode.INVALID_PARAMETER, f"more than {self._announced} bytes")
        self._edit.write(self._offset + self._received, data)
        self._received += len(data)
        self._movement.done += len(data)

    def finish(self) -> Reply:
        """End, and say how many bytes were written."""
        self._end()
        return Reply(parameters=(self._received,))

    def abort(self) -> None:
        """End; what was written is there."""
        with suppress(MtpError):
            self._end()


class _ToldEdit:
    """An edit of whose end the others are told, and all of the storage if it gets full by it."""

    def __init__(
        self,
        edit: Edit,
        tell: Callable[[], None],
        telling_if_full: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._edit = edit
        self._tell: Callable[[], None] | None = tell
        self._telling_if_full = telling_if_full

    def holds(self) -> bool:
        """Whether more can be changed by it."""
        return self._edit.holds()

    def write(self, offset: int, data: memoryview) -> None:
        """Put `data` at `offset`."""
        with self._telling_if_full():
            self._edit.write(offset, data)

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long."""
        with self._telling_if_full():
            self._edit.truncate(size)

    def commit(self) -> None:
        """Make the changes durable, and tell of them; also where that fails."""
        tell, self._tell = self._tell, None
        try:
            self._edit.commit()
        finally:
            if tell is not None:
                tell()


def _edit(context: Context, handle: int) -> Edit:
    storage_id = context.store.entry(handle).storage_id

    def tell() -> None:
        with suppress(MtpError):  # it is gone, of which they know
            context.store.entry(handle)
            context.tell_others(ChangeKind.CONTENT, handle)

    return _ToldEdit(context.store.edit(handle), tell, lambda: context.telling_if_full(storage_id))


def _change(context: Context, handle: int, change: Callable[[Edit], None]) -> None:
    edit = context.session.edit_of(handle)
    if edit is not None:
        change(edit)
        return
    edit = _edit(context, handle)
    try:
        change(edit)
    finally:
        edit.commit()
