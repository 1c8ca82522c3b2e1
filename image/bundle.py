# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes bundles for updates, and the keys that sign them: `make bundle`, `make key`.

    python -m image.bundle key [--key FILE]
    python -m image.bundle make [--key FILE] [--version VERSION] [--machine NAME] [--board NAME]

What is in a bundle is what `overlay/install.sh` puts into /usr/lib/mtp-appliance. Without --key it
is signed by the builder's own key, which is made when it is first needed and lies outside of the
project: in $MTP_APPLIANCE_KEYS, or ~/.config/mtp-appliance.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.settings.files import write_atomically
from appliance.update import bundle, signature
from appliance.update.archive import ENTRY, pack
from appliance.update.keys import (
    SUFFIX,
    PublicKey,
    SecretKey,
    read_public,
    read_secret,
    secret_line,
    write_public,
)
from appliance.update.manifest import Manifest
from appliance.update.version import is_version

PROJECT = Path(__file__).parent.parent
LIBRARY = Path("usr/lib/mtp-appliance")
_MAX_NOTES = 8000
_VERSION = re.compile(rb'^__version__ = "([^"]*)"$', re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.act(arguments)
    except ApplianceError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return error.status
    return 0


def own_key() -> Path:
    """Say where the builder's own secret key lies."""
    explicit = os.environ.get("MTP_APPLIANCE_KEYS")
    if explicit:
        return Path(explicit) / "update.key"
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "mtp-appliance" / "update.key"


def ensure_key(path: Path) -> SecretKey:
    """Read a secret key, made now with its public half beside it where there is none."""
    if not path.exists():
        key = SecretKey(signature.make_secret(), f"{path.stem} of {time.strftime('%Y-%m-%d')}")
        write_atomically(path, secret_line(key).encode())
        print(f"Made the key {path}: keep it to yourself, and keep a copy.", file=sys.stderr)
    key = read_secret(path)
    public = PublicKey(signature.public_of(key.raw), key.name)
    write_public(path.with_suffix(SUFFIX), public)
    return key


def public_key(named: str | None) -> Path:
    """Find the public key that an image gets: the one that is named, else the builder's own."""
    if named:
        read_public(Path(named))
        return Path(named)
    ensure_key(own_key())
    return own_key().with_suffix(SUFFIX)


def program_files(library: Path) -> dict[str, bytes]:
    """Read the packages of an installed program: paths and contents, without bytecode."""
    files = {}
    for package in library.iterdir():
        if not (package / "__init__.py").is_file():
            continue
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[str(path.relative_to(library))] = path.read_bytes()
    return files


def make(
    files: Mapping[str, bytes],
    base: int,
    key: SecretKey,
    *,
    version: str = "",
    machines: Sequence[str] = (),
    boards: Sequence[str] = (),
    date: str = "",
    notes: str = "",
) -> tuple[str, bytes]:
    """Make a bundle of files, for a system of that base: its version and its bytes.

    `version` is what the program calls itself from now on, "" for what it does already.
    """
    files = dict(files)
    match = _VERSION.search(files.get(ENTRY, b""))
    if match is None:
        raise ApplianceError(f"there is no version in {ENTRY}")
    if version:
        head, tail = files[ENTRY][: match.start(1)], files[ENTRY][match.end(1) :]
        files[ENTRY] = head + version.encode() + tail
    version = version or match[1].decode()
    if not is_version(version):
        raise ApplianceError(f"{version} is no version", hint="such as 0.2.0 or 0.2.0+mine")
    payload = pack(files)
    manifest = Manifest(
        version=version,
        base=base,
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        files=len(files),
        unpacked=sum(map(len, files.values())),
        machines=tuple(machines),
        boards=tuple(boards),
        date=date,
        notes=notes[:_MAX_NOTES],
    )
    return version, bundle.encode(manifest, payload, key)


def build_date() -> str:
    """Say when it was made: $SOURCE_DATE_EPOCH, or when the checkout was last changed."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "") or commit_time()
    if not seconds.isdecimal():
        print("No commit and no SOURCE_DATE_EPOCH: the date is today's.", file=sys.stderr)
    when = time.gmtime(int(seconds)) if seconds.isdecimal() else time.gmtime()
    return time.strftime("%Y-%m-%d", when)


def commit_time() -> str:
    """Say when the checkout was last changed (Unix seconds); "" where nobody knows."""
    command = ["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def news() -> str:
    """Give what CHANGELOG.md says of the newest version."""
    text = (PROJECT / "CHANGELOG.md").read_text()
    return text.partition("\n## ")[2].partition("\n## ")[0].partition("\n")[2].strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bundle", description="Make bundles and keys.")
    verbs = parser.add_subparsers(required=True)
    key = verbs.add_parser("key", help="make a key, unless it is there; where its public half is")
    key.set_defaults(act=_key)
    make = verbs.add_parser("make", help="make a bundle")
    make.set_defaults(act=_make)
    for each in (key, make):
        each.add_argument("--key", type=Path, help="the secret key; the builder's own by default")
    make.add_argument("--version", default="", help="call the program this")
    make.add_argument("--machine", action="append", default=[], help="only for it (uname -m)")
    make.add_argument("--board", action="append", default=[], help="only for boards of that name")
    make.add_argument("--packages", type=Path, help="where the vendored packages lie unpacked")
    make.add_argument("--out", type=Path, default=Path("build"), help="where to put it")
    return parser


def _key(arguments: argparse.Namespace) -> None:
    path = arguments.key or own_key()
    ensure_key(path)
    print(path.with_suffix(SUFFIX))


def _make(arguments: argparse.Namespace) -> None:
    path = arguments.key or own_key()
    if arguments.key and not path.exists():
        raise ApplianceError(f"there is no key {path}", hint=f"make key KEY={path}")
    key = ensure_key(path)
    with tempfile.TemporaryDirectory() as stage:
        _install(Path(stage), arguments.packages)
        library = Path(stage) / LIBRARY
        version, data = make(
            program_files(library),
            int((library / "base").read_text()),
            key,
            version=arguments.version,
            machines=arguments.machine,
            boards=arguments.board,
            date=build_date(),
            notes=news(),
        )
    target = arguments.out / f"mtp-appliance-{version}{bundle.SUFFIX}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    print(f"{target}: version {version}, {len(data)} bytes, signed with {path}")
    if not arguments.key:
        print(f"This is your own key: appliances take it that know {path.with_suffix(SUFFIX)}")


def _install(stage: Path, packages: Path | None) -> None:
    """Install into an empty root file system, as an image does."""
    options = ["--packages", str(packages)] if packages else []
    command = ["sh", str(PROJECT / "overlay/install.sh"), *options, str(stage)]
    done = subprocess.run(
        command,
        env={"PYTHON": sys.executable} | os.environ,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ApplianceError(f"the program cannot be gathered: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
