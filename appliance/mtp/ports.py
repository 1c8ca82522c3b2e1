# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol needs from the world: somewhere to keep objects.

`appliance.storage` provides it; tests provide their own.
Every method raises `MtpError` with the response code that the initiator is to be told, and no
other error for anything that a file system or an initiator can do.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from appliance.enums import Enum, auto
from appliance.mtp.transaction import FileSource, Look, unattended
from appliance.values import dataclass


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """One storage as it is now; sizes in bytes."""

    storage_id: int
    name: str
    capacity: int
    free: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an object without asking the file system.

    `parent` is 0 for what lies in a storage's root. `name` is what the initiator sees.
    """

    handle: int
    storage_id: int
    parent: int
    name: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class ObjectRecord(Entry):
    """An object as it is at this moment: size in bytes (0 for folders), times in Unix seconds.

    `added` is when it came to this storage. It and `unique_id` are 0 where they were not asked for:
    each takes one more question to the file system.
    """

    size: int
    modified: float
    created: float
    added: float
    protected: bool
    unique_id: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A small JPEG image of an object; width and height in pixels."""

    data: bytes
    width: int
    height: int


class ChangeKind(Enum):
    """What can happen to objects and storages without an initiator's doing."""

    ADDED = auto()
    REMOVED = auto()
    #: The content, the size or the dates are others.
    CONTENT = auto()
    #: The object has another name or lies in another folder.
    PLACE = auto()
    STORAGE_ADDED = auto()
    STORAGE_REMOVED = auto()
    #: What `storage` tells of it is different: free space, read-only.
    STORAGE_INFO = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an object or a storage; `number` is its handle or storage id.

    `now` is the handle that the object has from now on; 0: the same.
    """

    kind: ChangeKind
    number: int
    now: int = 0


ChangeListener = Callable[[Change], None]


@dataclass(frozen=True, slots=True)
class MadeFolder:
    """A folder that was asked for. `is_new`: nobody can know its handle yet."""

    handle: int
    is_new: bool


class Upload(Protocol):
    """A file on its way in, invisible until `commit`."""

    @property
    def handle(self) -> int:
        """The handle that the object has from `commit` on."""
        ...

    @property
    def replaces(self) -> bool:
        """Whether an object of that name is there already, which `commit` replaces."""
        ...

    @property
    def replaced(self) -> int:
        """The handle of what `commit` has replaced; 0 where nobody knew of it."""
        ...

    def write(self, data: memoryview) -> None:
        """Append `data`."""
        ...

    def commit(self, *, over: bool = True, heed: Look = unattended) -> None:
        """Make it durable, ask `heed`, then make it visible. On an error nothing remains.

        What has the name by then is replaced; AccessDenied where it must not be: `over` False.
        """
        ...

    def discard(self) -> None:
        """Forget everything; harmless after `commit`."""
        ...


class Edit(Protocol):
    """A file that is changed in place; each change is seen by everyone at once.

    It is of one file. InvalidObjectHandle where its handle has come to mean another one, or none.
    """

    def holds(self) -> bool:
        """Whether more can be changed by it: it has not ended, and its handle means its file."""
        ...

    def write(self, offset: int, data: memoryview) -> None:
        """Put `data` at `offset` (bytes); beyond the end the file grows, zeros between."""
        ...

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long; zeros where it grows."""
        ...

    def commit(self) -> None:
        """Make the changes durable and end; refuse where they are lost. Harmless when repeated."""
        ...


class ObjectStore(Protocol):
    """All storages and their objects.

    What does not exist raises InvalidStorageID, InvalidObjectHandle or, also for a parent that is
    a file, InvalidParentObject. `parent` 0 is the storage's root. Methods may be called from
    several threads. What may take long asks `look` now and then; whatever that raises ends it.
    """

    def storage_ids(self) -> Sequence[int]:
        """Ids in the order in which they were declared."""
        ...

    def storage(self, storage_id: int) -> StorageRecord:
        """The storage as it is now."""
        ...

    def children(self, storage_id: int, parent: int) -> Sequence[int]:
        """Handles of what lies in one folder, in a stable order (array of u32)."""
        ...

    def tree(self, storage_id: int, *, look: Look = unattended) -> Sequence[int]:
        """Handles of all objects of a storage, folders before what lies in them (array of u32)."""
        ...

    def entry(self, handle: int) -> Entry:
        """What is known without asking the file system."""
        ...

    def current(self, handle: int) -> int:
        """The handle that an object is listed by, which a former one means too."""
        ...

    def record(self, handle: int, *, in_full: bool = False) -> ObjectRecord:
        """The object as it is now; `in_full`: with `added` and `unique_id`."""
        ...

    def records(
        self, handles: Sequence[int], *, in_full: bool = False
    ) -> Iterator[ObjectRecord | None]:
        """Describe many objects, one after the other as they are asked for; None for what is gone.

        `in_full`: as for `record`.

        Cheaper than `record` for each, the more of them lie together in a folder.
        """
        ...

    def unique_id(self, handle: int) -> int:
        """A 128-bit number that stays with the object over restarts and renames."""
        ...

    def open(self, handle: int, offset: int = 0, length: int | None = None) -> FileSource:
        """The file's content from `offset` on, at most `length` bytes; empty beyond the end."""
        ...

    def receive(
        self, storage_id: int, parent: int, name: str, *, size: int | None, modified: float | None
    ) -> Upload:
        """Begin to receive a file; `size` None where the initiator does not know it."""
        ...

    def make_folder(
        self, storage_id: int, parent: int, name: str, *, modified: float | None
    ) -> MadeFolder:
        """Make a folder, or find the one of that name."""
        ...

    def delete(self, handle: int, *, look: Look = unattended) -> None:
        """Delete an object with all in it. PartialDeletion where only a part could be.

        What `look` ends has deleted a part, or nothing.
        """
        ...

    def move(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> None:
        """Move an object with all in it, in one step: what `look` ends has moved nothing.

        Handles stay.
        """
        ...

    def copy(self, handle: int, storage_id: int, parent: int, *, look: Look = unattended) -> int:
        """Copy an object with all in it, invisible until all is there; the copy's handle."""
        ...

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder."""
        ...

    def edit(self, handle: int) -> Edit:
        """Begin to change a file in place."""
        ...

    def set_modified(self, handle: int, modified: float) -> None:
        """Set the date of the last change (Unix seconds)."""
        ...

    def set_protected(self, handle: int, *, protected: bool) -> None:
        """Take an object's write permission away, or give it back."""
        ...

    def references(self, handle: int) -> Sequence[int]:
        """Handles of the objects that an object refers to, as a playlist does; in their order."""
        ...

    def set_references(self, handle: int, references: Sequence[int]) -> None:
        """Keep what an object refers to, over restarts and renames.

        InvalidObjectReference where one of them does not exist.
        """
        ...

    @property
    def makes_thumbnails(self) -> bool:
        """Whether `thumbnail` can make any."""
        ...

    def thumbnail(self, handle: int) -> Picture:
        """Make a small image of an object, soon. NoThumbnailPresent where there can be none."""
        ...

    def image_size(self, handle: int) -> tuple[int, int]:
        """Width and height of an image in pixels; zeros where they cannot be told."""
        ...

    @property
    def may_format(self) -> bool:
        """Whether `format` is allowed."""
        ...

    def format(self, storage_id: int, *, look: Look = unattended) -> None:
        """Empty a storage of everything that is shown in it."""
        ...

    def listen(self, listener: ChangeListener) -> None:
        """Tell `listener`, from any thread, of all changes that no method here was called for."""
        ...
