# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates as root does them: a bundle is checked, installed beside what runs, chosen, taken back.

What is chosen runs from the next start of the services on, first on trial; the start and the trial
are the business of `overlay/usr/lib/mtp-appliance/version`.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import appliance
from appliance import places
from appliance.errors import ApplianceError, ExitStatus
from appliance.services.system import run
from appliance.update import bundle as bundles
from appliance.update import choice as choices
from appliance.update import versions
from appliance.update.archive import unpack
from appliance.update.bundle import Bundle
from appliance.update.choice import IMAGE, Choice
from appliance.update.fitness import is_newer, require_fit, this_machine
from appliance.update.keys import SUFFIX, PublicKey, read_public, trusted, write_public
from appliance.values import dataclass

TARGET = "mtp-appliance.target"
RELEASE, KEYS = "release", "keys"
#: More bundles than this in one folder are somebody's mistake.
_MAX_FOUND = 20
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Where:
    """Where things are, for tests; `root` is a prefix of the kernel's files."""

    versions: Path = places.VERSIONS
    program: Path = places.PROGRAM
    taken_back: Path = places.TAKEN_BACK
    root: Path = Path("/")


HERE = Where()


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """What runs, what is there, and what is to run; `last`: which version was taken back, and why.

    `chosen` runs from the next start on. Once started it is on trial, `starts` times until now.
    """

    running: str
    image: str
    installed: tuple[str, ...]
    chosen: str
    trial: bool
    starts: int
    last: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle that lies in a storage."""

    path: str
    name: str
    size: int


def status(where: Where = HERE) -> UpdateStatus:
    """Say how things are. On a machine that is no appliance, `image` is empty."""
    image = _release(where)
    choice = choices.read(where.versions, image)
    names = versions.installed(where.versions)
    image_version = image.partition(" ")[0]
    last = f"{versions.version_in(choice.failed) or choice.failed}: {choice.why}"
    return UpdateStatus(
        running=appliance.__version__,
        image=image_version,
        installed=tuple(map(versions.version_in, names)),
        chosen=image_version if choice.version == IMAGE else versions.version_in(choice.version),
        trial=choice.is_on_trial and choice.starts > 0,
        starts=choice.starts,
        last=last if choice.failed else "",
        keys=tuple(map(str, keys(where))),
    )


def keys(where: Where = HERE) -> tuple[PublicKey, ...]:
    """Give the keys that are trusted: the image's and the owner's."""
    return trusted((where.program / KEYS, where.versions / versions.KEYS))


def trust(path: Path, where: Where = HERE) -> PublicKey:
    """Trust a key from now on; which one it is."""
    _need_root(where)
    key = read_public(path)
    with _written():
        write_public(where.versions / versions.KEYS / f"{key.id.hex()}{SUFFIX}", key)
    return key


def check(path: Path, where: Where = HERE) -> Bundle:
    """Read a bundle that is for this machine. ApplianceError says why it is not."""
    image = _release(where)
    if not image:
        what = "this is no appliance that takes updates"
        raise ApplianceError(what, hint="install the new version as this one was installed")
    found = bundles.read(path, keys(where))
    require_fit(found.manifest, this_machine(_base(image), where.root))
    return found


def install(path: Path, *, older: bool = False, where: Where = HERE) -> Bundle:
    """Install a bundle beside what runs, and let it run from the next start on.

    One that is not newer than what runs is installed where `older` says so.
    """
    _need_root(where)
    found = check(path, where)
    version, running = found.manifest.version, appliance.__version__
    if not older and not is_newer(found.manifest, running):
        what = f"the update is {version}, which is not newer than {running}, which runs"
        raise ApplianceError(what, hint="--older installs it all the same")
    files = unpack(found.payload, found.manifest)
    name = versions.directory_name(found.manifest)
    with _written(), choices.changing(where.versions):
        image = _release(where)
        choice = choices.read(where.versions, image)
        _require_no_trial(choice)
        versions.prune(where.versions, {name, _running(where), choice.last_good})
        versions.require_room(where.versions, found.manifest)
        versions.install(where.versions, name, files)
        choices.write(where.versions, choice.on_trial(name, image))
        _forget(where)
    return found


def roll_back(where: Where = HERE) -> str:
    """Let the version before run from the next start on; which one that is."""
    _need_root(where)
    with _written(), choices.changing(where.versions):
        choice = choices.read(where.versions, _release(where))
        if choice.version == IMAGE:
            what = "the version that runs came with the image: there is none before it"
            raise ApplianceError(what, hint="flash another image")
        before = choice.before if choice.before in versions.installed(where.versions) else IMAGE
        choices.write(where.versions, Choice(before, choice.image))
        _forget(where)
    return versions.version_in(before) or choice.image.partition(" ")[0]


def confirm(where: Where = HERE) -> None:
    """End a trial well, without waiting for its end; and take back the warning of a bad one."""
    _need_root(where)
    with _written(), choices.changing(where.versions):
        choice = choices.read(where.versions, _release(where))
        warned = where.taken_back.exists()
        if not warned and not (choice.is_on_trial and choice.starts):
            what = "no version is on trial"
            raise ApplianceError(what, hint="mtp-appliance update status")
        if choice.is_on_trial and choice.starts:
            choices.write(where.versions, choice.confirmed())
        _forget(where)


def restart() -> None:
    """Start all services anew, with the version that is chosen."""
    if not run(["systemctl", "--no-block", "restart", TARGET]):
        raise ApplianceError("the services cannot be started anew", hint="restart the appliance")


def find(folders: list[Path]) -> list[Found]:
    """Find the bundles that lie in folders, not deeper; the name alone tells."""
    found: list[Found] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found += [
                    Found(each.path, each.name, each.stat(follow_symlinks=False).st_size)
                    for each in entries
                    if each.name.endswith(bundles.SUFFIX)
                    and each.name.encode(errors="replace") == os.fsencode(each.name)
                    and each.is_file(follow_symlinks=False)
                ]
        except OSError:
            continue  # a storage that is away has none
    return sorted(found, key=lambda each: each.path)[:_MAX_FOUND]


def _require_no_trial(choice: Choice) -> None:
    if choice.is_on_trial and choice.starts:
        version = versions.version_in(choice.version)
        raise ApplianceError(
            f"{version} is still on trial",
            hint="wait a minute, or end it: mtp-appliance update confirm, or rollback",
        )


def _release(where: Where) -> str:
    """Read what the image says of itself: version, base, checksum; "" where there is none."""
    try:
        return (where.program / RELEASE).read_text().strip()
    except OSError:
        return ""


def _base(release: str) -> int:
    word = release.split()[1]
    return int(word)


def _running(where: Where) -> str:
    """Name the directory of the version that runs, if it is one."""
    place = Path(appliance.__file__).parent.parent
    return place.name if place.parent == where.versions else ""


def _forget(where: Where) -> None:
    where.taken_back.unlink(missing_ok=True)


def _need_root(where: Where) -> None:
    if where == HERE and os.geteuid() != 0:
        what = "only root can change which version runs"
        raise ApplianceError(what, hint="sudo", status=ExitStatus.NEEDS_ROOT)


@contextmanager
def _written() -> Iterator[None]:
    """Say what an error of the file system means here."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise versions.no_room() from None
        what = f"the place of versions cannot be written: {error.strerror}"
        raise ApplianceError(what, hint="nothing was changed") from None
