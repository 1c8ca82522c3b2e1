# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `mtp-appliance`. What it does is imported when it is asked for."""

import sys
from collections.abc import Sequence

from appliance.errors import ApplianceError, ExitStatus

_INTERRUPTED = 130

#: The commands: each is described by `describe(parser)` in the module of its name.
COMMANDS = {
    "serve": "serve folders as an MTP device, until interrupted",
    "status": "show what an appliance that runs is doing",
    "leds": "say what the lights mean, try them, serve them",
    "report": "gather what others need to find out what is wrong",
    "settings": "show, change, check, save and restore the settings",
    "apply": "put the settings into force: host name, network, gadget, services",
    "doctor": "say what is well, what is not, and what to do",
    "gadget": "make, remove or show the USB device as the kernel has it",
    "storage": "add, remove and change what an appliance serves while it runs",
    "web": "serve the settings page",
    "helper": "do for the settings page what only root may; systemd starts it",
    "trash": "put back what a PC has deleted",
    "update": "check and install signed updates, and go back to the version before",
}

#: What the responder's unit says, each with a value.
_OF_THE_UNIT = ["--settings", "--functionfs", "--bind"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        _run(list(sys.argv[1:] if argv is None else argv))
    except ApplianceError as error:
        print(f"mtp-appliance: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    return ExitStatus.OK


def _run(words: list[str]) -> None:
    """Do what the words say; those of the unit are understood without argparse.

    To describe all that can be said would make the start a twentieth longer.
    """
    values = words[2::2]
    if words[:1] == ["serve"] and words[1::2] == _OF_THE_UNIT and _are_values(values):
        from appliance.cli.start import start_unit  # noqa: PLC0415 - loads the service

        start_unit(*values)
    else:
        from appliance.cli.parsing import run  # noqa: PLC0415 - argparse, which the unit does without

        run(words)


def _are_values(words: list[str]) -> bool:
    """Whether none is missing, and none is an option."""
    return len(words) == len(_OF_THE_UNIT) and not any(each.startswith("-") for each in words)
