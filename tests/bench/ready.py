# SPDX-License-Identifier: GPL-3.0-or-later
"""`mtp-appliance serve`, as its unit has it, up to where it is ready; then a marker and the end.

Run by the Python that is emulated, on a machine without USB: all is done but FunctionFS's own
system calls. python ready.py SETTINGS STATE
"""

# ruff: noqa: E402 - as with `serve`, where nothing is collected before all is ready
import gc

gc.disable()

import os
import sys
from typing import Self

from appliance.cli import main
from appliance.services import usb
from appliance.transports import functionfs
from appliance.transports.functionfs import FunctionFsTransport
from tests.bench.marker import mark


class _Stub(FunctionFsTransport):
    """Ready as soon as it is made."""

    is_alive = True

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def serve(self, *_: object) -> None:
        """End."""
        mark(0)
        os._exit(0)


if __name__ == "__main__":
    setattr(usb, "_check_mountpoint", lambda _: None)  # noqa: B010 - that of this process only
    setattr(functionfs, "FunctionFsTransport", _Stub)  # noqa: B010
    settings, os.environ["STATE_DIRECTORY"] = sys.argv[1:]
    main(["serve", "--settings", settings, "--functionfs", "/", "--bind", "no gadget"])
