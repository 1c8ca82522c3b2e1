# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the benchmark's small C programs, with what C compiler there is."""

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
}
_PACKAGES = "apt install gcc libc6-dev libusb-1.0-0-dev"


class BuildError(Exception):
    """A program cannot be compiled; says what to do."""


def program(name: str, folder: Path | None = None) -> Path:
    """Compile `name`.c into a folder, by default a new temporary one; the program's path."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise BuildError(f"there is no C compiler: {_PACKAGES}")
    made = (folder or Path(tempfile.mkdtemp(prefix="bench-"))) / name
    argv = [compiler, "-o", str(made), str(HERE / f"{name}.c"), *_LIBRARIES[name]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{name}.c does not compile ({_PACKAGES}):\n{done.stdout}{done.stderr}")
    return made
