# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `web`: the settings page."""

import argparse
import sys
from pathlib import Path

from appliance import log, places
from appliance.errors import ApplianceError, ExitStatus

DEFAULT_PORT = 8080
_HELP = """\
On the appliance systemd listens, and starts this when somebody comes; it ends
when nobody looks any more. On another machine it listens by itself, for that
machine alone where --listen does not say otherwise.

examples:
  mtp-appliance web --settings ~/settings.toml
  mtp-appliance web --settings ~/settings.toml --listen 127.0.0.1:8000
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `web`."""
    parser.epilog = _HELP
    parser.set_defaults(act=_web)
    add = parser.add_argument
    add("--settings", type=Path, default=places.SETTINGS, metavar="FILE",
        help="what the appliance serves by")  # fmt: skip
    add("--status", type=Path, metavar="FILE",
        help="the status of the appliance, which listens beside it (as `status` finds it)")  # fmt: skip  # noqa: E501
    add("--state-dir", type=Path, metavar="DIR",
        help="the page's own: keys, uploads (the systemd unit's, or ~/.local/state/mtp-appliance/web)")  # fmt: skip  # noqa: E501
    add("--listen", action="append", type=_parse_address, default=[], metavar="ADDRESS[:PORT]",
        help=f"where to listen (127.0.0.1:{DEFAULT_PORT}); may be repeated")  # fmt: skip
    add("--idle", type=float, metavar="SECONDS",
        help="end when nobody has looked for so long (never by default)")  # fmt: skip
    add("-v", "--verbose", action="count", default=0, help="tell more")


def _parse_address(text: str) -> tuple[str, int]:
    from appliance.settings import addresses  # noqa: PLC0415 - seldom needed

    try:
        return addresses.parse_address(text, DEFAULT_PORT)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _web(arguments: argparse.Namespace) -> None:
    log.configure(arguments.verbose)
    # No TLS is spoken here, and what is not loaded takes no memory: a megabyte of a small board's.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    try:
        from appliance.services import webd  # noqa: PLC0415 - not for --help
    except ModuleNotFoundError as error:
        raise ApplianceError(
            f"the settings page needs {error.name}",
            hint="pip install '.[web]', where the project lies",
            status=ExitStatus.FAILURE,
        ) from None
    webd.serve(
        webd.Options(
            settings=arguments.settings.absolute(),
            status=arguments.status,
            state=arguments.state_dir,
            listen=tuple(arguments.listen) or (("127.0.0.1", DEFAULT_PORT),),
            idle=arguments.idle,
        ),
        lambda line: print(line, flush=True),
    )
