# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the image for ARMv6 by themselves, without its kernel: on an emulated ARM1176, as
root of their file system, the responder as its own user, used by a client of this machine.
"""

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import appliance
from tests.clients.gphoto2 import Gphoto2PtpIp
from tests.clients.served import free_port
from tests.image.disk import Disk

#: The processor of a Zero: what a later one alone can do ends a program here too.
PROCESSOR = {"QEMU_CPU": "arm1176"}
_PATIENCE = 600.0


@pytest.fixture(scope="module")
def root(made: Disk) -> Path:
    """The image's root file system, unpacked, with a folder to serve and places to write."""
    tree = made.scratch / "root"
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-d", tree, made.part(2)], check=True)
    (tree / "dev/null").touch(mode=0o666)
    (tree / "srv/share").chmod(0o755)
    for name in ("Card", "state"):
        (tree / "srv" / name).mkdir()
        os.chown(tree / "srv" / name, *map(int, responder(tree).split(":")))
    return tree


def responder(root: Path) -> str:
    """The numbers of the responder's user and group."""
    owner = (root / "var/lib/mtp-appliance").stat()
    return f"{owner.st_uid}:{owner.st_gid}"


#: In a mount namespace that ends with the program: the responder looks into /proc.
_ENTER = """
root=$1 user=$2
shift 2
mount --rbind /proc "$root/proc" && exec chroot --userspec="$user" "$root" "$@"
"""


def argv_inside(root: Path, *argv: str, user: str = "0:0") -> list[str]:
    return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(root), user, *argv]


def inside(root: Path, *argv: str) -> str:
    done = subprocess.run(
        argv_inside(root, *argv),
        env=os.environ | PROCESSOR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_processor_is_of_that_generation(root: Path) -> None:
    assert inside(root, "/usr/bin/uname", "-m").strip() == "armv6l"


def test_the_command(root: Path) -> None:
    assert appliance.__version__ in inside(root, "/usr/bin/mtp-appliance", "--version")


@pytest.mark.parametrize(
    "modules",
    [
        "appliance.services.mtpd, appliance.transports.functionfs, functionfs, libaio, ioctl_opt",
        "appliance.services.webd, webui.app, flask, flask_babel, waitress",
        "appliance.services.ledd, gpiozero",
        "appliance.thumbnailer, PIL.Image",
        "appliance.update.bundle, nacl.signing",
        "appliance.settings.store, tomlkit",
    ],
)
def test_each_program_finds_its_parts(root: Path, modules: str) -> None:
    place = "import sys; sys.path.insert(0, '/usr/lib/mtp-appliance')"
    inside(root, "/usr/bin/python3", "-c", f"{place}; import {modules}")


def test_the_settings_that_come_with_it_are_good(root: Path) -> None:
    settings = "/etc/mtp-appliance/settings.toml"
    assert inside(root, "/usr/bin/mtp-appliance", "settings", "check", "--file", settings)


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[Gphoto2PtpIp]:
    """A client of the responder that runs on that processor."""
    port = free_port()
    with _serving(root, port):
        yield Gphoto2PtpIp(f"ptpip:127.0.0.1:{port}:{port}")


@contextlib.contextmanager
def _serving(root: Path, port: int) -> Iterator[None]:
    words = (
        "serve",
        "--listen",
        f"127.0.0.1:{port}",
        "--state-dir",
        "/srv/state",
        "Card=/srv/Card",
    )
    argv = argv_inside(root, "/usr/bin/mtp-appliance", *words, user=responder(root))
    with subprocess.Popen(argv, env=os.environ | PROCESSOR, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
            assert ready, "it did not become ready"
            assert process.stdout.readline(), "it ended before it was ready"
            yield
            assert process.poll() is None, "it ended by itself"
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def test_a_client_lists_the_files(client: Gphoto2PtpIp, root: Path) -> None:
    (root / "srv/Card/folder").mkdir()
    (root / "srv/Card/folder/list me.txt").write_text("words")
    (root / "srv/Card/hello.bin").write_bytes(bytes(70_000))
    assert client.names("") >= {"folder", "hello.bin"}
    assert client.names("folder") == {"list me.txt"}


def test_a_client_puts_and_gets_a_file(client: Gphoto2PtpIp, root: Path, tmp_path: Path) -> None:
    source = tmp_path / "up.bin"
    source.write_bytes(os.urandom(300_000))
    client.put(source, "")
    assert (root / "srv/Card/up.bin").read_bytes() == source.read_bytes()
    client.get("up.bin", tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == source.read_bytes()
