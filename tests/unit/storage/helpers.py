# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of storages say again and again."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue
from appliance.storage.names import STAGING
from appliance.storage.upload import StagedUpload

FIRST, SECOND = 0x00010001, 0x00020001
WORKPLACE = STAGING.decode()
#: Long ago, and not a whole second: a folder of that time is at rest.
AT_REST = 1_600_000_000_123_456_789


@contextmanager
def refused(code: ResponseCode) -> Iterator[None]:
    """Expect a response code."""
    with pytest.raises(MtpError) as caught:
        yield
    assert caught.value.code is code, caught.value


def at_rest(*folders: Path) -> None:
    """Make folders look as if nothing had happened in them for long."""
    for folder in folders:
        os.utime(folder, ns=(AT_REST, AT_REST))


def names(store: Catalogue, parent: int = 0, *, storage: int = FIRST) -> list[str]:
    return [store.entry(each).name for each in store.children(storage, parent)]


def find(store: Catalogue, path: str, *, storage: int = FIRST) -> int:
    """Walk down to an object as a PC does: by listing folders. 0 for the root."""
    handle = 0
    for name in filter(None, path.split("/")):
        listed = {store.entry(each).name: each for each in store.children(storage, handle)}
        handle = listed[name]
    return handle


def begin(
    store: Catalogue, name: str, data: bytes = b"", *, parent: int = 0, storage: int = FIRST
) -> StagedUpload:
    upload = store.receive(storage, parent, name, size=len(data), modified=None)
    upload.write(memoryview(data))
    return upload


def put(store: Catalogue, name: str, data: bytes = b"", *, parent: int = 0) -> int:
    upload = begin(store, name, data, parent=parent)
    upload.commit()
    return upload.handle


def content(store: Catalogue, handle: int, offset: int = 0, length: int | None = None) -> bytes:
    source = store.open(handle, offset, length)
    try:
        buffer = bytearray(source.length + 1)
        count = 0
        while part := source.read_into(memoryview(buffer)[count:]):
            count += part
        return bytes(buffer[:count])
    finally:
        source.close()


def leftovers(root: Path) -> list[str]:
    """All that lies in a storage's workplace, without the processes' directories themselves."""
    return [str(path.relative_to(root)) for path in (root / WORKPLACE).glob("*/*")]


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what comes by itself, half a minute at most."""
    pause = threading.Event()
    for _ in range(3000):
        if is_so():
            return
        pause.wait(0.01)
    assert is_so()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def mount(*command: str) -> bool:
    """Mount something if this machine lets us."""
    done = subprocess.run(["mount", *command], capture_output=True, check=False)
    return done.returncode == 0
