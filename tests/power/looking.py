# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a card, seen from below and through MTP; on the host, or in the virtual Pi."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliance.mtp.codes import FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.settings.store import SettingsFile
from tests.power.model import digest
from tests.usb.mtp import ROOT, STORAGE

SHARED = Path(os.environ.get("MTP_APPLIANCE_GUEST", "/run/host"))
SHARE = Path("/srv/share")
SETTINGS = Path("/etc/mtp-appliance/settings.toml")
_WORKPLACE = ".mtp-appliance"
#: What may lie in the workplace when nothing is under way; a draft is written over the next time.
_LASTING = {"trash", "state"}
_LASTING_FILES = {"trash/days.json", "trash/days.json.new", "state/references.json"}
_FILES, _INFO = "trash/files", "trash/info"


class HasData(Protocol):
    """An answer with data, whatever road it took."""

    @property
    def data(self) -> bytes | None: ...


Ask = Callable[..., HasData]


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a PC sees it."""

    path: str
    handle: int
    is_folder: bool


def look(edited: str | None, below: Path = Path("/")) -> dict[str, Any]:
    """Say what is on the card, which is mounted `below`; of the file `edited` all that is in it."""
    share, settings = (below / each.relative_to("/") for each in (SHARE, SETTINGS))
    workplace = share / _WORKPLACE
    paths = [path for path in share.rglob("*") if workplace not in (path, *path.parents)]
    reading = SettingsFile(settings, Path("/nowhere"), keeps=False).read()
    files = {str(path.relative_to(share)): path for path in paths if path.is_file()}
    whole = files.get(edited or "")
    return {
        "files": {name: digest(path.read_bytes()) for name, path in files.items()},
        "folders": [str(path.relative_to(share)) for path in paths if path.is_dir()],
        "days": reading.settings.trash_days,
        "errors": reading.findings.errors,
        "edited": base64.b64encode(whole.read_bytes()).decode() if whole else None,
        "remains": _remains(workplace),
        "trash": [digest(each) for each in _trash(workplace)],
    }


def _trash(workplace: Path) -> Iterator[bytes]:
    """Read what was deleted or replaced."""
    files = workplace / "trash" / "files"
    return (path.read_bytes() for path in files.rglob("*") if path.is_file())


def _remains(workplace: Path) -> list[str]:
    """Name what uploads and deletions have left.

    That is each file but what is in the trash, with its note; each directory that is on its way
    out; and those of earlier processes: the responder's own is one, and empty.
    """
    if not workplace.is_dir():
        return []
    kept = {path.name for path in (workplace / _FILES).glob("*")}
    files = (path for path in workplace.rglob("*") if not path.is_dir() or path.is_symlink())
    remains = [path for path in files if not _lasts(path.relative_to(workplace), kept)]
    remains += (workplace / "trash/expunged").glob("*")
    others = sorted(each for each in workplace.iterdir() if each.name not in _LASTING)
    processes = [each for each in others if each.is_dir()]
    return [str(each) for each in (*remains, *processes[1:])]


def _lasts(path: Path, kept: set[str]) -> bool:
    """Whether a file of the workplace may stay; `kept` is what the trash has."""
    if path.is_relative_to(_INFO):
        return path.suffix == ".trashinfo" and path.stem in kept
    return str(path) in _LASTING_FILES or path.is_relative_to(_FILES)


def seen(ask: Ask) -> dict[str, str]:
    """Read all that a PC sees: digests of files, "" for folders."""
    ask(Op.OPEN_SESSION, 1)
    return {
        each.path: "" if each.is_folder else digest(ask(Op.GET_OBJECT, each.handle).data or b"")
        for each in listed(ask)
    }


def listed(ask: Ask, parent: int = ROOT, prefix: str = "") -> Iterator[Listed]:
    """List what a PC sees."""
    data = ask(Op.GET_OBJECT_HANDLES, STORAGE, 0, parent).data or b""
    for start in range(4, len(data), 4):
        handle = int.from_bytes(data[start : start + 4], "little")
        info = ObjectInfo.decode(ask(Op.GET_OBJECT_INFO, handle).data or b"")
        is_folder = info.format == FormatCode.ASSOCIATION
        yield Listed(prefix + info.name, handle, is_folder)
        if is_folder:
            yield from listed(ask, handle, f"{prefix}{info.name}/")


def kernel_complaints(log: str) -> list[str]:
    """Choose what the kernel said that is wrong with a file system."""
    wrong = ("EXT4-fs error", "corrupt")
    return [line for line in log.splitlines() if any(each in line for each in wrong)]


def asked(name: str) -> dict[str, Any]:
    """Read what the host has asked; nothing where it has not."""
    path = SHARED / name
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def tell(name: str, value: object) -> None:
    """Put a file where the host sees it, whole."""
    put(SHARED, name, value)


def put(folder: Path, name: str, value: object) -> None:
    """Put a file into a folder that another machine looks at, whole."""
    new = folder / f"{name}.new"
    new.write_text(json.dumps(value))
    new.rename(folder / name)
