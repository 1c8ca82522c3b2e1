# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the image for an SD card."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import appliance
from appliance.errors import ApplianceError
from image import assemble, base, bundle, release, root
from image.boards import BOARDS, Board, find_board

PROJECT = Path(__file__).parent.parent
#: The date where there is neither: 2026 (Unix seconds).
_NO_COMMIT = 1_767_225_600
#: A squashfs has 32 bits for a date.
_DATES_END = 1 << 32


def main() -> int:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    try:
        arguments.act(arguments)
    except ApplianceError as error:
        print(f"image: {error}", file=sys.stderr)
        return error.status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m image", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="make an image")
    build.add_argument("board", choices=BOARDS)
    build.add_argument("--output", type=Path, default=PROJECT / "build/image", metavar="FOLDER")
    build.add_argument(
        "--base", type=Path, metavar="TAR", help="a base root file system made before"
    )
    build.add_argument("--mirror", help="where to get Debian's packages from")
    build.add_argument(
        "--packages", type=Path, metavar="FOLDER", help="unpacked Python packages, instead of pip"
    )
    build.set_defaults(act=_build)
    publish = commands.add_parser("release", help="make the files of a release of an image")
    publish.add_argument("board", choices=BOARDS)
    publish.add_argument(
        "--image", type=Path, metavar="FILE", help="the image; else the last built"
    )
    publish.add_argument("--output", type=Path, default=PROJECT / "build/release", metavar="FOLDER")
    publish.add_argument("--url", default="", help="where the files will lie, for Imager's list")
    publish.set_defaults(act=_release)
    return parser


def source_date() -> int:
    """Give the date that all in an image has: $SOURCE_DATE_EPOCH, or the last commit's."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said and not (said.isdecimal() and int(said) < _DATES_END):
        raise ApplianceError(
            f"SOURCE_DATE_EPOCH={said} is no date",
            hint="whole seconds since 1970, such as $(date +%s); without it, the last commit's",
        )
    return int(said or bundle.commit_time() or _NO_COMMIT)


def image_name(board: Board) -> str:
    """Name an image after its version and board."""
    return f"mtp-appliance-{appliance.__version__}-{board.name}"


def _build(arguments: argparse.Namespace) -> None:
    board = find_board(arguments.board)
    if os.geteuid() != 0:
        raise ApplianceError(
            "an image is made as root, for the owners of its files", hint="sudo make image"
        )
    epoch = source_date()
    key = bundle.public_key(os.environ.get("MTP_APPLIANCE_KEY"))
    archive = arguments.base or base.base(board, mirror=arguments.mirror)
    arguments.output.mkdir(parents=True, exist_ok=True)
    target = arguments.output / f"{image_name(board)}.img"
    with tempfile.TemporaryDirectory(dir=arguments.output, prefix="making-") as work:
        tree = Path(work) / "root"
        _step("unpack", lambda: root.unpack(archive, tree))
        _step("recipe", lambda: root.cook(tree, board, key, arguments.packages))
        _step("assemble", lambda: assemble.assemble(tree, board, target, Path(work), epoch))
    print(target)


def _release(arguments: argparse.Namespace) -> None:
    board = find_board(arguments.board)
    image = arguments.image or PROJECT / f"build/image/{image_name(board)}.img"
    if not image.exists():
        raise ApplianceError(f"there is no {image}", hint=f"make image BOARD={board.name}")
    files = release.release(image, board, arguments.output, source_date(), arguments.url)
    print("\n".join(map(str, files)))


def _step(name: str, work: Callable[[], object]) -> None:
    started = time.monotonic()
    work()
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
