# SPDX-License-Identifier: GPL-3.0-or-later
"""How the start mounts a card that is worn or damaged: the initial RAM disk's own functions, by
busybox, in a mount namespace of the virtual Pi's.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image.scripts import functions

pytestmark = pytest.mark.guest

_PARTS = ("say", "note", "mount_ext4", "is_read_only", "is_damaged", "mount_as_it_is")
_SHARE = ("mount_share", "note_read_only", "protect_share")
_STATE = ("mount_state", "keep_state_in_memory")
#: The system of the card is this one's; what its /var begins as is what is in `begins`.
_SCRIPT = """
export PATH=$3
disk=$2 notes=$1/notes
part() {{ echo "/dev/$disk"; }}
{functions}
mount --bind / /sysroot
mount --bind "$1/begins" /sysroot/var
mkdir -p /sysroot/srv/share
mount_{what}
cd "/sysroot/{place}" || exit 1
grep " /sysroot/{place} " /proc/mounts | tail -n 1
find . -type f
if touch new 2>/dev/null; then echo written; fi
"""


@dataclass(frozen=True, slots=True)
class Made:
    """What the tests share: an ext4 after a clean end, and one whose journal was not put into force
    (`unplugged`), both with the same files; and a folder with busybox under each of its names.
    """

    ended: Path
    unplugged: Path
    applets: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    made = Made(folder / "ended", folder / "unplugged", folder / "applets")
    made.applets.mkdir()
    _run("busybox", "--install", "-s", str(made.applets))
    with made.ended.open("wb") as file:
        file.truncate(8 << 20)
    _run("mke2fs", "-q", "-F", "-t", "ext4", str(made.ended))
    mounted = folder / "mounted"
    mounted.mkdir()
    _run("modprobe", "loop")
    _run("mount", "-o", "loop", str(made.ended), str(mounted))
    for name in ("photo.jpg", "lib/mtp-appliance/own", "log/much"):
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text("kept")
    os.sync()
    shutil.copyfile(made.ended, made.unplugged)
    _run("umount", str(mounted))
    Path("/sysroot").mkdir(exist_ok=True)
    return made


class Card:
    """A partition as a file, and what the start makes of it."""

    def __init__(self, folder: Path, made: Made) -> None:
        self._folder = folder
        self._made = made
        self._image = folder / "partition"
        for name in ("notes", "begins/lib/mtp-appliance"):
            (folder / name).mkdir(parents=True)
        (folder / "begins/lib/mtp-appliance/shipped").touch()

    def take(self, *, unplugged: bool) -> None:
        """Be one of those that were made."""
        shutil.copyfile(self._made.unplugged if unplugged else self._made.ended, self._image)

    def damage(self) -> None:
        """Note in it what the kernel notes that has found damage."""
        for what in ("error_count 1", "state 3"):
            _run("debugfs", "-w", "-R", f"ssv {what}", str(self._image))

    def about(self) -> str:
        """Say what dumpe2fs says of it."""
        return _run("dumpe2fs", "-h", str(self._image))

    def start(self, what: str, *, locked: bool = False) -> str:
        """Mount it as the start does; how that is, its files, whether it can be written to."""
        place, names = {"share": ("srv/share", _SHARE), "state": ("var", _STATE)}[what]
        text = functions("initrd/init", *_PARTS, *names)
        script = _SCRIPT.format(functions=text, what=what, place=place)
        with self._disk(locked) as disk:
            argv = ("unshare", "--mount", "busybox", "sh", "-c", script, "sh")
            return _run(*argv, str(self._folder), disk, str(self._made.applets))

    @contextmanager
    def _disk(self, locked: bool) -> Iterator[str]:
        options = ("--read-only",) if locked else ()
        device = _run("losetup", *options, "--find", "--show", str(self._image)).strip()
        try:
            yield Path(device).name
        finally:
            _run("losetup", "--detach", device)

    def notes(self) -> dict[str, str]:
        """Give what it noted for people."""
        return {each.name: each.read_text() for each in (self._folder / "notes").iterdir()}


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def card(tmp_path: Path, made: Made) -> Card:
    return Card(tmp_path, made)


@pytest.mark.parametrize("unplugged", [True, False])
def test_a_good_share_is_written_to(card: Card, unplugged: bool) -> None:
    card.take(unplugged=unplugged)
    started = card.start("share")
    assert {"./photo.jpg", "written"} <= set(started.splitlines())
    assert card.notes() == {}


@pytest.mark.parametrize("unplugged", [True, False])
def test_the_files_of_a_card_that_has_locked_itself_can_be_read(
    card: Card, unplugged: bool
) -> None:
    card.take(unplugged=unplugged)
    started = card.start("share", locked=True)
    assert "./photo.jpg" in started
    assert "written" not in started
    assert " ro," in started
    assert "use another card" in card.notes()["card-share"]


def test_a_damaged_share_is_read_alone(card: Card) -> None:
    card.take(unplugged=True)
    card.damage()
    started = card.start("share")
    assert "./photo.jpg" in started
    assert "written" not in started
    assert "is damaged" in card.notes()["card-share"]
    assert "FS Error count" in card.about()


def test_a_damaged_state_is_repaired_and_used(card: Card) -> None:
    card.take(unplugged=True)
    card.damage()
    started = card.start("state")
    assert {"./lib/mtp-appliance/own", "written"} <= set(started.splitlines())
    assert " ext4 rw," in started
    assert card.notes() == {}
    assert "FS Error count" not in card.about()


@pytest.mark.parametrize("unplugged", [True, False])
def test_what_was_set_counts_still_where_the_card_has_locked_itself(
    card: Card, unplugged: bool
) -> None:
    card.take(unplugged=unplugged)
    started = card.start("state", locked=True)
    files = set(started.splitlines())
    assert {"./lib/mtp-appliance/own", "./lib/mtp-appliance/shipped", "written"} <= files
    assert "./log/much" not in files
    assert " tmpfs rw," in started
    assert "lost at a restart" in card.notes()["card-state"]
