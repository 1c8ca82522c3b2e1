# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the service, as a person or its unit has said."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.services.mtpd import Options


def start_unit(settings: str, functionfs: str, bind: str) -> None:
    """Serve what a settings file says, on the gadget that is made already."""
    gc.disable()  # until all is ready: hardly anything that a start makes is garbage
    from appliance.services.mtpd import Options  # noqa: PLC0415

    start(Options(settings=Path(settings), functionfs=Path(functionfs), bind=bind))


def start(options: "Options") -> None:
    """Serve until a signal."""
    from appliance import log  # noqa: PLC0415 - not for --help
    from appliance.services import mtpd  # noqa: PLC0415

    log.configure(options.verbosity)
    mtpd.serve(options, announce)


def announce(line: str) -> None:
    """Tell the person who called; one who does not listen is no reason to end."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = None
