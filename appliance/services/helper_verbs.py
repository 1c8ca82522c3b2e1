# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings page may ask of root: this table, and nothing else.

Whoever takes the page over can ask for these with any arguments. So each says what its arguments
may be and refuses the rest, runs no words of theirs, and opens no path that they name; but for
bundles, which lie in a storage or an upload and are signed.
"""

import base64
import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from appliance import places
from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.services import journal, update_verbs
from appliance.services.control_socket import Verb
from appliance.services.factory_reset import factory_reset
from appliance.services.host import LinuxHost
from appliance.services.machine import look_at
from appliance.settings.secret_files import SECRETS
from appliance.settings.store import SettingsFile

log = logging.getLogger(__name__)

TARGET, RESPONDER = "mtp-appliance.target", "mtp-appliance.service"
#: Years that a clock can be set to: later ones are somebody's slip.
_EARLIEST, _LATEST = 1_577_836_800.0, 4_102_444_800.0
_PATIENCE = 60.0

Run = Callable[[Sequence[str]], None]


def run(command: Sequence[str]) -> None:
    """Run a program of ours; ApplianceError where it does not do what it is to."""
    log.info("RUN     %s", " ".join(command))
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApplianceError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise ApplianceError(f"{' '.join(command)} failed", hint="the log has the reason")


def verbs(run: Run = run) -> Mapping[str, Verb]:
    """Give all verbs by name."""

    def restart() -> None:
        """Start all services anew, with the version that is chosen then."""
        run(["systemctl", "--no-block", "restart", TARGET])

    def power_off() -> None:
        """Switch the machine off."""
        run(["systemctl", "--no-block", "poweroff"])

    def reset() -> None:
        """Return to a new appliance, and let the responder begin as one.

        Meanwhile it is out of the way: somebody may have taken it over.
        """
        try:
            run(["systemctl", "stop", RESPONDER])
        except ApplianceError as error:
            log.warning("RESET   beside a responder that runs: %s", error)
        try:
            factory_reset()
        finally:
            run(["systemctl", "--no-block", "restart", RESPONDER])

    return {
        "restart": restart,
        "power off": power_off,
        "clock set": clock_set,
        "logs": logs,
        "report": report,
        "doctor": doctor,
        "factory reset": reset,
        "secret set": secret_set,
        **update_verbs.verbs(),
    }


def clock_set(time: float) -> None:
    """Set the clock (Unix seconds), where nothing keeps it better."""
    _require(type(time) in (int, float) and _EARLIEST <= time <= _LATEST, "no time of today")
    settings = look_at().settings
    try:
        LinuxHost(clock_settable=settings.set_clock).set_clock(time)
    except MtpError:
        hint = "a time server, a clock chip or the setting set_clock keeps it"
        raise ApplianceError("the clock is not to be set from here", hint=hint) from None


def secret_set(key: str, value: str) -> None:
    """Set a secret of the settings: the password's hash, or the Wi-Fi's passphrase."""
    _require(type(key) is str and key in SECRETS, "no secret of the settings")
    _require(type(value) is str, "no text")
    SettingsFile(places.SETTINGS, places.STATE, keeps=False).set_secrets({key: value})
    log.info("SECRET  %s is %s", key, "set" if value else "none")


def logs(source: str, lines: int, after: str = "") -> dict[str, Any]:
    """Read lines of the journal, with the place after which the next ones come."""
    _require(type(source) is str and source in journal.SOURCES, "no source of a log")
    _require(type(lines) is int and 1 <= lines <= journal.MOST_LINES, "no number of lines")
    _require(type(after) is str, "no place in the journal")
    from appliance.services.report import serials  # noqa: PLC0415 - zipfile is large

    return journal.read(source, lines, after, serials(look_at()))


def report() -> dict[str, str]:
    """Make the report for a bug report."""
    from appliance.services.report import make_report  # noqa: PLC0415

    name = time.strftime("mtp-appliance-report-%Y%m%d-%H%M.zip")
    return {"name": name, "data": base64.b64encode(make_report(look_at())).decode()}


def doctor() -> list[dict[str, Any]]:
    """Say what is well and what is not."""
    from appliance.doctor.checks import examine  # noqa: PLC0415

    return [asdict(each) for each in examine(look_at())]


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ApplianceError(f"that is {what}")
