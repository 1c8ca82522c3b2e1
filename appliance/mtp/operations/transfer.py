# SPDX-License-Identifier: GPL-3.0-or-later
"""Content of objects: GetObject, GetPartialObject, SendObjectInfo, SendObject.

Spec: MTP 1.1 appendix D.2.9, D.2.12, D.2.13, D.2.27; the Android extension (0x95C1).
"""

from contextlib import suppress

from appliance.mtp.codes import ALL, FormatCode, ProtectionStatus, ResponseCode
from appliance.mtp.datasets import SIZE_UNKNOWN, ObjectInfo
from appliance.mtp.errors import MtpError
from appliance.mtp.monitor import Direction, Movement
from appliance.mtp.operations.context import Context, DatasetSink, destination
from appliance.mtp.ports import ChangeKind, Upload
from appliance.mtp.session import AnnouncedUpload
from appliance.mtp.transaction import FileSource, Look, Reply, Request, Sink, unattended
from appliance.mtp.wire import WireError
from appliance.values import dataclass


def get_object(context: Context, request: Request) -> Reply:
    """Send the whole content of the object in parameter 1."""
    return Reply(source=_open(context, request.parameter(0), part=False))


def get_partial_object(context: Context, request: Request) -> Reply:
    """Send at most parameter 3 bytes from offset parameter 2 on; answers how many are sent."""
    offset, most = request.parameter(1), request.parameter(2)
    source = _open(context, request.parameter(0), offset, None if most == ALL else most)
    return Reply(parameters=(min(source.length, ALL),), source=source)


def get_partial_object_64(context: Context, request: Request) -> Reply:
    """Send at most parameter 4 bytes from an offset (2: lower 32 bits, 3: upper) on."""
    offset = request.parameter(1) | request.parameter(2) << 32
    source = _open(context, request.parameter(0), offset, request.parameter(3))
    return Reply(parameters=(source.length,), source=source)


def _open(
    context: Context, handle: int, offset: int = 0, length: int | None = None, *, part: bool = True
) -> FileSource:
    entry = context.store.entry(handle)
    if entry.is_folder:
        raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"object {handle:X} is a folder")
    source = context.store.open(handle, offset, length)
    return context.visit.giving(handle, entry.name, source, part=part)


def send_object_info(context: Context, request: Request) -> Sink:
    """Announce a file, or make a folder, in storage parameter 1 and folder parameter 2.

    What was announced before waits no longer, also where this one is refused: its content is not to
    be taken for the other's.
    """
    context.session.conclude_upload()
    storage_id, asked = request.parameter(0), request.parameter(1)
    storage_id, parent = destination(context, storage_id, asked)

    def finish(data: bytes) -> Reply:
        info = _decode(data)
        protected = info.protection is ProtectionStatus.READ_ONLY
        new = NewObject(storage_id, parent, info.name, info.modified, protected)
        if info.format is FormatCode.ASSOCIATION:
            handle = make_folder(context, new)
        else:
            handle = announce(context, new, None if info.size == SIZE_UNKNOWN else info.size)
        return Reply(parameters=(storage_id, asked, handle))

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DATASET)


def _decode(data: bytes) -> ObjectInfo:
    try:
        return ObjectInfo.decode(data)
    except WireError as error:
        raise MtpError(ResponseCode.INVALID_DATASET, str(error)) from None


@dataclass(frozen=True, slots=True)
class NewObject:
    """What an initiator wants to make, and where; `modified` in Unix seconds."""

    storage_id: int
    parent: int
    name: str
    modified: float | None
    protected: bool


def announce(context: Context, new: NewObject, size: int | None) -> int:
    """Expect the content of a file of `size` bytes (None: unknown); its handle."""
    store = context.store
    with context.telling_if_full(new.storage_id):
        upload = store.receive(
            new.storage_id, new.parent, new.name, size=size, modified=new.modified
        )

    def arrived() -> None:
        if new.protected:
            with suppress(MtpError):  # the file is there, as the initiator is to be told
                store.set_protected(upload.handle, protected=True)
        if upload.replaced:
            context.tell_others(ChangeKind.REMOVED, upload.replaced)
        context.tell_others(ChangeKind.ADDED, upload.handle)

    context.session.announce(AnnouncedUpload(upload, size, new.storage_id, arrived, new.name))
    return upload.handle


def make_folder(context: Context, new: NewObject) -> int:
    """Make a folder, or find it; its handle."""
    made = context.store.make_folder(new.storage_id, new.parent, new.name, modified=new.modified)
    if made.is_new:
        context.tell_others(ChangeKind.ADDED, made.handle)
    context.session.announce(AnnouncedUpload(_FolderContent(made.handle), 0, new.storage_id))
    return made.handle


class _FolderContent:
    """What a folder is sent, by the clients that send an empty object after it: nothing."""

    replaces = False
    replaced = 0

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def write(self, data: memoryview) -> None:
        """Refuse content."""
        raise MtpError(ResponseCode.INVALID_DATASET, "content for a folder")

    def commit(self, *, over: bool = True, heed: Look = unattended) -> None:
        """Keep the folder, which is there already."""

    def discard(self) -> None:
        """Keep the folder: it was acknowledged."""


def send_object(context: Context, request: Request) -> Sink:
    """Receive the content of what SendObjectInfo announced."""
    return ObjectSink(context, context.session.take_upload())


class ObjectSink:
    """Content on its way into an upload."""

    def __init__(self, context: Context, announced: AnnouncedUpload) -> None:
        self._context = context
        self._announced = announced
        self._upload: Upload = announced.upload
        self._movement = Movement(self._upload.handle, announced.name, Direction.OUT, self.expected)
        if announced.name:
            context.visit.follow(self._movement)

    @property
    def expected(self) -> int | None:
        """Bytes announced, None where unknown."""
        return self._announced.announced or None

    def write(self, data: memoryview) -> None:
        """Pass content on."""
        with self._context.telling_if_full(self._announced.storage_id):
            self._upload.write(data)
        self._movement.done += len(data)

    def finish(self) -> Reply:
        """Make the object visible if all that was announced is there."""
        received, announced = self._movement.done, self._announced.announced
        if not self._announced.matches(received):
            self._upload.discard()
            raise MtpError(ResponseCode.INCOMPLETE_TRANSFER, f"{received} of {announced} bytes")
        with self._context.telling_if_full(self._announced.storage_id):
            self._announced.commit(heed=self._context.session.heed)
        self._context.visit.end(self._movement, whole=True)
        return Reply()

    def abort(self) -> None:
        """Forget the content."""
        self._upload.discard()
        self._context.visit.end(self._movement, whole=False)
