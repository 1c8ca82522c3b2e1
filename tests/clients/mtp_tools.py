# SPDX-License-Identifier: GPL-3.0-or-later
"""mtp-tools, and libmtp itself for what no tool does (renaming and moving)."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.clients.driver import ClientError, run, split

_NODE = re.compile(r"^( *)(\d+) (.*)$")
_PLAYLIST = re.compile(r"^ {3}Name: (.*)$")
_TRACK = re.compile(r"^\s+(\d+):")
_FILE = re.compile(r"File ID: (\d+)\n\s+Filename: (.*)\n\s+File size (\d+)", re.MULTILINE)

#: What no tool does, by libmtp's own functions: ACTION HANDLE (NAME | FILE | STORAGE PARENT).
_LIBMTP = """
import ctypes, sys
mtp = ctypes.CDLL("libmtp.so.9")
mtp.LIBMTP_Get_First_Device.restype = ctypes.c_void_p
mtp.LIBMTP_Init()
device = mtp.LIBMTP_Get_First_Device()
if not device:
    sys.exit("libmtp finds no device")
device = ctypes.c_void_p(device)
action, handle = sys.argv[1], ctypes.c_uint32(int(sys.argv[2]))
if action == "rename":
    failed = mtp.LIBMTP_Set_Object_Filename(device, handle, sys.argv[3].encode())
elif action == "thumbnail":
    data, size = ctypes.c_void_p(), ctypes.c_uint()
    failed = mtp.LIBMTP_Get_Thumbnail(device, handle, ctypes.byref(data), ctypes.byref(size))
    if not failed:
        open(sys.argv[3], "wb").write(ctypes.string_at(data, size.value))
else:
    where = [ctypes.c_uint32(int(each)) for each in sys.argv[3:5]]
    failed = mtp.LIBMTP_Move_Object(device, handle, *where)
if failed:
    mtp.LIBMTP_Dump_Errorstack(device)
mtp.LIBMTP_Release_Device(device)
sys.exit(1 if failed else 0)
"""
_STORAGE = 0x00010001


@dataclass(frozen=True, slots=True)
class _Node:
    handle: int
    path: str


class MtpTools:
    """The tools work on handles; `mtp-filetree` finds them. They exit with 0 on many errors."""

    name = "mtp-tools"
    abilities = frozenset(
        {
            "rename",
            "move",
            "get empty",
            "put empty",
            "emoji",
            "sizes",
            "crowd",
            "thumbnails",
            "playlists",
        }
    )

    def _run(self, *argv: str | Path) -> str:
        output = run(*argv)
        if "Error" in output and "No Devices" not in output:
            raise ClientError(f"{argv}:\n{output}")
        return output

    def detect(self) -> str:
        output = run("mtp-detect")
        if "Device info" not in output:
            raise ClientError(output)
        return output

    def _tree(self) -> list[_Node]:
        nodes: list[_Node] = []
        parents: list[str] = []
        for line in self._run("mtp-filetree").splitlines():
            if match := _NODE.match(line):
                depth = len(match[1]) // 2
                del parents[depth:]
                parents.append(match[3])
                nodes.append(_Node(int(match[2]), "/".join(parents)))
        return nodes

    def _handle(self, path: str) -> int:
        if not path:
            return 0
        for node in self._tree():
            if node.path == path:
                return node.handle
        raise ClientError(f"mtp-filetree does not show {path}")

    def names(self, folder: str) -> set[str]:
        prefix = f"{folder}/" if folder else ""
        paths = (node.path for node in self._tree() if node.path.startswith(prefix))
        return {path.removeprefix(prefix) for path in paths if split(path)[0] == folder}

    def sizes(self, folder: str) -> dict[str, int]:
        sizes = {int(m[1]): int(m[3]) for m in _FILE.finditer(self._run("mtp-files"))}
        nodes = [node for node in self._tree() if split(node.path)[0] == folder]
        return {split(n.path)[1]: sizes[n.handle] for n in nodes if n.handle in sizes}

    def get(self, path: str, target: Path) -> None:
        self._run("mtp-getfile", str(self._handle(path)), target)

    def put(self, source: Path, folder: str) -> None:
        self._run("mtp-sendfile", source, str(self._handle(folder)))

    def mkdir(self, path: str) -> None:
        folder, name = split(path)
        self._run("mtp-newfolder", name, str(self._handle(folder)), str(_STORAGE))

    def rename(self, path: str, name: str) -> None:
        run("python3", "-c", _LIBMTP, "rename", str(self._handle(path)), name)

    def move(self, path: str, folder: str) -> None:
        where = (str(_STORAGE), str(self._handle(folder)))
        run("python3", "-c", _LIBMTP, "move", str(self._handle(path)), *where)

    def delete(self, path: str) -> None:
        self._run("mtp-delfile", "-n", str(self._handle(path)))

    def thumbnail(self, path: str, target: Path) -> None:
        run("python3", "-c", _LIBMTP, "thumbnail", str(self._handle(path)), target)

    def make_playlist(self, name: str, paths: list[str]) -> None:
        tracks = [word for path in paths for word in ("-i", str(self._handle(path)))]
        self._run("mtp-newplaylist", *tracks, "-n", name)

    def playlists(self) -> dict[str, list[str]]:
        names = {node.handle: split(node.path)[1] for node in self._tree()}
        found: dict[str, list[str]] = {}
        tracks: list[str] = []
        for line in self._run("mtp-playlists").splitlines():
            if match := _PLAYLIST.match(line):
                tracks = found[match[1].removesuffix(".pla")] = []
            elif match := _TRACK.match(line):
                tracks.append(names[int(match[1])])
        return found
