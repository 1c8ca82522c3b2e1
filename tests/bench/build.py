# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the benchmark's small C programs, with what C compiler there is: on the host."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
_COMPILERS = ("tcc", "gcc", "cc")
_LIBRARIES = {
    "client": ("-I/usr/include/libusb-1.0", "-lusb-1.0"),
    "pump": ("-lpthread",),
    "counter": ("-shared", "-fPIC"),
    "redirected_pump": (),
}
#: In the folder that a guest shares with its host: what the host has compiled for it.
_BROUGHT = "programs"
_PACKAGES = "apt install gcc libc6-dev libusb-1.0-0-dev"


class BuildError(Exception):
    """A program cannot be compiled; says what to do."""


def program(name: str, folder: Path | None = None) -> Path:
    """Compile `name`.c into a folder, by default a new temporary one; the program's path.

    In the guest, which has no compiler, it is what the host has brought there.
    """
    shared = os.environ.get("MTP_APPLIANCE_GUEST")
    if shared is not None and (Path(shared) / _BROUGHT / name).exists():
        return Path(shared) / _BROUGHT / name
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise BuildError(f"there is no C compiler: {_PACKAGES}")
    made = (folder or Path(tempfile.mkdtemp(prefix="bench-"))) / name
    argv = [compiler, "-o", str(made), str(HERE / f"{name}.c"), *_LIBRARIES[name]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{name}.c does not compile ({_PACKAGES}):\n{done.stdout}{done.stderr}")
    return made


def bring(shared: Path, *names: str) -> None:
    """Compile programs for a guest that shares this folder."""
    (shared / _BROUGHT).mkdir()
    for name in names:
        program(name, shared / _BROUGHT)
