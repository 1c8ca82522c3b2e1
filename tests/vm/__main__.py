# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.vm build | shell | run COMMAND... | clean."""

import argparse
import shlex
import sys
import time

from tests.vm import image
from tests.vm.machine import Guest, Kind
from tests.vm.redirected import RedirectedGuest

#: Exit status of a program that Ctrl-C has ended, as shells give it.
_INTERRUPTED = 130


def main() -> int:
    """Do what the command line says; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description="The virtual Pi.")
    parser.add_argument("--mirror", help="a mirror of Debian, instead of apt's default")
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="make the image, if it is not there")
    build.add_argument("--force", action="store_true", help="make it anew")
    shell = verbs.add_parser("shell", help="a shell in the guest, with the device plugged in")
    run = verbs.add_parser("run", help="run a command in the guest")
    for each in (shell, run):
        each.add_argument(
            "--redirected",
            dest="kind",
            action="store_const",
            const=Kind.REDIRECTED,
            help="as a PC alone, whose device the host serves over usbredir",
        )
        each.add_argument(
            "--appliance",
            dest="kind",
            action="store_const",
            const=Kind.APPLIANCE,
            default=Kind.PLAIN,
            help="boot it by systemd, as the appliance",
        )
    run.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("clean", help="forget the images")
    arguments = parser.parse_args()
    try:
        return _do(arguments)
    except image.GuestError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the guest is off.", file=sys.stderr)
        return _INTERRUPTED


def _do(arguments: argparse.Namespace) -> int:
    if arguments.verb == "clean":
        image.clean()
        return 0
    made = image.get(force=getattr(arguments, "force", False), mirror=arguments.mirror)
    if arguments.verb == "build":
        print(made.disk.parent)
        return 0
    redirected = arguments.kind is Kind.REDIRECTED
    guest = RedirectedGuest(made, "-v") if redirected else Guest(made, arguments.kind)
    try:
        if arguments.verb == "shell":
            return guest.shell()
        return _run(guest, shlex.join(arguments.command))
    finally:
        guest.stop()


def _run(guest: Guest, command: str) -> int:
    guest.start(command)
    with guest.output.open("rb") as output:
        while guest.running():
            _pass_on(output.read())
            time.sleep(0.05)
        _pass_on(output.read())
    return guest.status()


def _pass_on(data: bytes) -> None:
    if data:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
