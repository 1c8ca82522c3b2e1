# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol needs from the world: somewhere to keep objects, and a device to speak for.

`appliance.storage` provides the first, `appliance.settings` the second; tests provide their own.
Every method raises `MtpError` with the response code that the initiator is to be told, and no
other error for anything that a file system or an initiator can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.mtp.transaction import FileSource


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
    """An object as it is at this moment: size in bytes (0 for folders), times in Unix seconds."""

    size: int
    modified: float
    created: float
    protected: bool


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

    def write(self, data: memoryview) -> None:
        """Append `data`."""
        ...

    def commit(self) -> None:
        """Make the object durable, then visible. On an error nothing remains."""
        ...

    def discard(self) -> None:
        """Forget everything; harmless after `commit`."""
        ...


class ObjectStore(Protocol):
    """All storages and their objects.

    What does not exist raises InvalidStorageID, InvalidObjectHandle or, also for a parent that is
    a file, InvalidParentObject. `parent` 0 is the storage's root. Methods may be called from
    several threads.
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

    def tree(self, storage_id: int) -> Sequence[int]:
        """Handles of all objects of a storage, folders before what lies in them (array of u32)."""
        ...

    def entry(self, handle: int) -> Entry:
        """What is known without asking the file system."""
        ...

    def record(self, handle: int) -> ObjectRecord:
        """The object as it is now."""
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
    ) -> int:
        """Make a folder, or find the one of that name; its handle."""
        ...

    def delete(self, handle: int) -> None:
        """Delete an object with all in it. PartialDeletion where only a part could be."""
        ...

    def move(self, handle: int, storage_id: int, parent: int) -> None:
        """Move an object with all in it; handles stay."""
        ...

    def copy(self, handle: int, storage_id: int, parent: int) -> int:
        """Copy an object with all in it, invisible until all is there; the copy's handle."""
        ...

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name in its folder."""
        ...


class DeviceState(Protocol):
    """What an initiator can set about the device, kept over restarts."""

    @property
    def friendly_name(self) -> str:
        """The name that a person gave the device, or its default."""
        ...

    def set_friendly_name(self, name: str | None) -> None:
        """Keep a name; None returns to the default. Raises MtpError where it cannot be kept."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What does not change while the responder runs."""

    manufacturer: str
    model: str
    version: str
    serial_number: str
