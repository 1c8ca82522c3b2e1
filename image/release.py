# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release, made of a finished image and nothing else.

| file | what it is |
|---|---|
| NAME.img.xz | the image |
| NAME.img.bmap | which blocks of it say something, for bmaptool |
| NAME.packages | what is in it, a line a package |
| NAME.spdx.json | the same for programs, with licences where known |
| mtp-appliance-imager.json | the list for Raspberry Pi Imager, all images of the folder |
| mtp-appliance.svg | the picture in that list |
| SHA256SUMS | of all of these |
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import appliance
from image import packages, programs
from image.boards import BOARDS, Board
from image.sbom import sbom

MANIFEST = "mtp-appliance-imager.json"
ICON = "mtp-appliance.svg"
SUMS = "SHA256SUMS"
#: Blocks of their own, so that any number of processors packs the same.
_XZ = ("-6", "--threads=2", "--block-size=16MiB", "--keep", "--stdout")
#: What Raspberry Pi Imager calls the boards.
_DEVICES = {"zero": ["pi1-32bit"], "zero2w": ["pi3-64bit"]}
_ICON_SOURCE = Path(appliance.__file__).parent / "data/icon.svg"
_DESCRIPTION = "The files on the card as an MTP device, over the USB cable"


def sha256(path: Path) -> str:
    """Give a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def release(image: Path, board: Board, folder: Path, epoch: int, url: str = "") -> list[Path]:
    """Make the release files of an image in `folder`; `url` is where they will lie."""
    folder.mkdir(parents=True, exist_ok=True)
    found = read_packages(image)
    digest = sha256(image)
    name = image.stem
    made = {
        f"{name}.packages": packages.as_list(found),
        f"{name}.spdx.json": sbom(image.name, appliance.__version__, digest, found, epoch),
    }
    for file, text in made.items():
        (folder / file).write_text(text)
    bmap = folder / f"{image.name}.bmap"
    programs.run("bmaptool", "--quiet", "create", "-o", bmap, image)
    packed = pack(image, folder)
    shutil.copyfile(_ICON_SOURCE, folder / ICON)
    place = f"{url.rstrip('/')}/" if url else ""
    about = entry(board, image, packed, digest) | {
        "icon": place + ICON,
        "url": place + packed.name,
        "release_date": datetime.fromtimestamp(epoch, UTC).date().isoformat(),
    }
    (folder / f"{name}.entry.json").write_text(json.dumps(about, indent=1) + "\n")
    files = [packed, bmap, *(folder / each for each in (*made, ICON)), write_manifest(folder)]
    return [*files, write_sums(folder)]


def read_packages(image: Path) -> list[packages.Package]:
    """Read what is in an image out of its root file system."""
    table = json.loads(programs.ask("sfdisk", "-J", image))["partitiontable"]["partitions"][1]
    lists = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root.img"
        place = (f"skip={table['start']}", f"count={table['size']}", "bs=512", "status=none")
        programs.ask("dd", f"if={image}", f"of={root}", *place)
        for name in ("dpkg-status", "unpacked"):
            lists.append(
                programs.ask("unsquashfs", "-cat", root, f"usr/share/mtp-appliance/{name}")
            )
    return packages.of_image(*lists)


def pack(image: Path, folder: Path) -> Path:
    """Pack an image."""
    packed = folder / f"{image.name}.xz"
    programs.write_output(packed, "xz", *_XZ, image)
    return packed


def entry(board: Board, image: Path, packed: Path, digest: str) -> dict[str, Any]:
    """Describe an image to Raspberry Pi Imager."""
    return {
        "name": f"MTP Appliance {appliance.__version__} ({board.title})",
        "description": _DESCRIPTION,
        "extract_size": image.stat().st_size,
        "extract_sha256": digest,
        "image_download_size": packed.stat().st_size,
        "image_download_sha256": sha256(packed),
        "devices": _DEVICES[board.name],
        "init_format": "none",
    }


def write_manifest(folder: Path) -> Path:
    """Write Imager's list, of all images whose files lie in the folder."""
    found = [folder / f"{each.stem.removesuffix('.img')}.entry.json" for each in _images(folder)]
    entries = [json.loads(each.read_text()) for each in found if each.exists()]
    (folder / MANIFEST).write_text(json.dumps({"os_list": entries}, indent=1) + "\n")
    return folder / MANIFEST


def _images(folder: Path) -> Iterable[Path]:
    names = tuple(f"-{board}.img.xz" for board in BOARDS)
    return sorted(each for each in folder.iterdir() if each.name.endswith(names))


def write_sums(folder: Path) -> Path:
    """Write the sums of all files there that are for people."""
    files = sorted(each for each in folder.iterdir() if _is_published(each))
    lines = [f"{sha256(each)}  {each.name}\n" for each in files]
    (folder / SUMS).write_text("".join(lines))
    return folder / SUMS


def _is_published(path: Path) -> bool:
    return path.name != SUMS and not path.name.endswith(".entry.json")
