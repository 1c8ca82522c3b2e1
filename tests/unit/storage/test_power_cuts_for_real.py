# SPDX-License-Identifier: GPL-3.0-or-later
"""A real file system whose power is cut: ext4 is told to stop at once, journal and all.

What was not on the disk by then never comes there; mounted anew, the journal does what it can. It
needs a loop device and the right to mount; where there is none, the virtual Pi has them.
"""

import fcntl
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.storage import Catalogue, Folder
from tests.unit.storage.helpers import WORKPLACE

PROJECT = Path(__file__).parents[3]
#: FS_IOC_SHUTDOWN of linux/fs.h, with EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is flushed.
_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = (2).to_bytes(4, sys.byteorder)

#: Uploads for ever over ten names, each file of one byte value throughout, and says what was
#: answered: number and name.
UPLOADER = """
import itertools, sys
from pathlib import Path
from appliance.storage import Catalogue, Folder, TrashPolicy, WriteSafety

folder, safety = Folder(Path(sys.argv[1]), "Card"), WriteSafety(sys.argv[2])
store = Catalogue([folder], trash=TrashPolicy(), write_safety=safety)
for number in itertools.count(1):
    name = str(number % 10)
    size = 1 + number * 7919 % 50_000
    upload = store.receive(0x10001, 0, name, size=size, modified=None)
    upload.write(memoryview(bytes([number % 255 + 1]) * size))
    upload.commit()
    print(number, flush=True)
"""


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of its own, mounted."""
    image, place = tmp_path / "card", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    if shutil.which("mkfs.ext4") is None or not _mount(image, place, make=True):
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=False)


def _mount(image: Path, place: Path, *, make: bool = False) -> bool:
    if make:
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    return subprocess.run(["mount", "-o", "loop", image, place], check=False).returncode == 0


def cut_the_power(place: Path) -> None:
    """Let nothing more come to the disk, then start anew."""
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _SHUTDOWN, _NO_LOG_FLUSH)
    finally:
        os.close(fd)


@pytest.mark.parametrize("safety", ["safe", "fast"])
@pytest.mark.parametrize("seed", range(4))
def test_the_power_is_cut_while_files_come(
    card: Path, tmp_path: Path, safety: str, seed: int
) -> None:
    share = card / "share"
    share.mkdir()
    os.sync()
    wanted = random.Random(seed).randint(5, 400)
    with subprocess.Popen(
        [sys.executable, "-c", UPLOADER, str(share), safety],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        answered = next(int(line) for line in process.stdout if int(line) >= wanted)
        cut_the_power(card)
        process.kill()
        answered = max([answered, *map(int, process.stdout.read().split())])
    subprocess.run(["umount", str(card)], check=True)
    assert _mount(tmp_path / "card", card)
    Catalogue([Folder(share, "Card")]).close()
    check(share, answered, is_safe=safety == "safe")


def check(share: Path, answered: int, *, is_safe: bool) -> None:
    """Each name holds one whole upload; where it was safe, the last that was answered or the next.

    The next one is what was under way.
    """
    shown = {path.name: path.read_bytes() for path in share.iterdir() if path.name != WORKPLACE}
    for number in range(max(1, answered - 9), answered + 1) if is_safe else ():
        data = shown[str(number % 10)]
        assert data in (upload(number), upload(number + 10)), f"{number} was answered"
    for name, data in shown.items():
        numbers = range(int(name) or 10, answered + 11, 10)
        assert data in map(upload, numbers), f"{name} is broken: {len(data)} bytes"


def upload(number: int) -> bytes:
    """What the uploader has sent."""
    return bytes([number % 255 + 1]) * (1 + number * 7919 % 50_000)
