# SPDX-License-Identifier: GPL-3.0-or-later
"""Content of objects: GetObject, GetPartialObject, SendObjectInfo, SendObject.

Spec: MTP 1.1 appendix D.2.9, D.2.12, D.2.13, D.2.27.
"""

from appliance.mtp.codes import ALL, FormatCode, ResponseCode
from appliance.mtp.datasets import SIZE_UNKNOWN, ObjectInfo
from appliance.mtp.errors import MtpError
from appliance.mtp.operations.context import Context, DatasetSink, destination
from appliance.mtp.ports import Upload
from appliance.mtp.session import AnnouncedUpload
from appliance.mtp.transaction import FileSource, Reply, Request, Sink
from appliance.mtp.wire import WireError


def get_object(context: Context, request: Request) -> Reply:
    """Send the whole content of the object in parameter 1."""
    return Reply(source=_open(context, request.parameter(0)))


def get_partial_object(context: Context, request: Request) -> Reply:
    """Send at most parameter 3 bytes from offset parameter 2 on; answers how many are sent."""
    offset, most = request.parameter(1), request.parameter(2)
    source = _open(context, request.parameter(0), offset, None if most == ALL else most)
    return Reply(parameters=(min(source.length, ALL),), source=source)


def _open(context: Context, handle: int, offset: int = 0, length: int | None = None) -> FileSource:
    if context.store.entry(handle).is_folder:
        raise MtpError(ResponseCode.INVALID_OBJECT_HANDLE, f"object {handle:X} is a folder")
    return context.store.open(handle, offset, length)


def send_object_info(context: Context, request: Request) -> Sink:
    """Announce a file, or make a folder, in storage parameter 1 and folder parameter 2."""
    storage_id, asked = request.parameter(0), request.parameter(1)
    storage_id, parent = destination(context, storage_id, asked)

    def finish(data: bytes) -> Reply:
        info = _decode(data)
        if info.format is FormatCode.ASSOCIATION:
            handle = _make_folder(context, storage_id, parent, info)
        else:
            handle = _announce(context, storage_id, parent, info)
        return Reply(parameters=(storage_id, asked, handle))

    return DatasetSink(finish, too_large=ResponseCode.INVALID_DATASET)


def _decode(data: bytes) -> ObjectInfo:
    try:
        return ObjectInfo.decode(data)
    except WireError as error:
        raise MtpError(ResponseCode.INVALID_DATASET, str(error)) from None


def _announce(context: Context, storage_id: int, parent: int, info: ObjectInfo) -> int:
    size = None if info.size == SIZE_UNKNOWN else info.size
    upload = context.store.receive(storage_id, parent, info.name, size=size, modified=info.modified)
    context.session.announce(AnnouncedUpload(upload, size))
    return upload.handle


def _make_folder(context: Context, storage_id: int, parent: int, info: ObjectInfo) -> int:
    handle = context.store.make_folder(storage_id, parent, info.name, modified=info.modified)
    context.session.announce(AnnouncedUpload(_FolderContent(handle), 0))
    return handle


class _FolderContent:
    """What a folder is sent, by the clients that send an empty object after it: nothing."""

    replaces = False

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def write(self, data: memoryview) -> None:
        """Refuse content."""
        raise MtpError(ResponseCode.INVALID_DATASET, "content for a folder")

    def commit(self) -> None:
        """Keep the folder, which is there already."""

    def discard(self) -> None:
        """Keep the folder: it was acknowledged."""


def send_object(context: Context, request: Request) -> Sink:
    """Receive the content of what SendObjectInfo announced."""
    return ObjectSink(context.session.take_upload())


class ObjectSink:
    """Content on its way into an upload."""

    def __init__(self, announced: AnnouncedUpload) -> None:
        self._announced = announced
        self._upload: Upload = announced.upload
        self._received = 0

    @property
    def expected(self) -> int | None:
        """Bytes announced, None where unknown."""
        return self._announced.announced or None

    def write(self, data: memoryview) -> None:
        """Pass content on."""
        self._upload.write(data)
        self._received += len(data)

    def finish(self) -> Reply:
        """Make the object visible if all that was announced is there."""
        if not self._announced.matches(self._received):
            self._upload.discard()
            announced = self._announced.announced
            raise MtpError(
                ResponseCode.INCOMPLETE_TRANSFER, f"{self._received} of {announced} bytes"
            )
        self._upload.commit()
        return Reply()

    def abort(self) -> None:
        """Forget the content."""
        self._upload.discard()
