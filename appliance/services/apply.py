# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the settings into force: gadget, services, network, host name. Root's part, at a start and
whenever the settings file has changed.

A step that fails does not keep the later ones from being done. What is in force is kept in
/run/mtp-appliance-gadget/applied.json, so the next time only what has changed is done.
"""

import json
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import places
from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget.identity import device_identity, network_addresses
from appliance.network.plan import FILE_NAME, File, cable_network, networkd_files
from appliance.services import gadget
from appliance.services.changes import Action, Snapshot, actions, in_force, snapshot
from appliance.settings.schema import Settings

log = logging.getLogger(__name__)

USER = "mtp-appliance"
_RESPONDER = "mtp-appliance.service"
_LEDS = "mtp-appliance-leds.service"
_AVAHI = "avahi-daemon.service"
_NETWORKD = "systemd-networkd.service"
_APPLIED = places.FUNCTIONFS.with_name("applied.json")
_LOOKED = places.FUNCTIONFS.with_name("looked-at")
_NETWORK_FILES = Path("/run/systemd/network")
_HOSTS_ADDRESS = "127.0.1.1"
#: Seconds that a service manager that hangs is waited for.
_PATIENCE = 60.0

Run = Callable[[Sequence[str]], bool]


def note_look(path: Path, root: Path = gadget.ROOT) -> None:
    """Write down which file it is that is looked at now, as `stat -c "%i %.Y %s"` says it.

    systemd does not look while this runs: at its end the unit asks whether it is still that one.
    """
    try:
        status = path.stat()
    except OSError:
        words = ""
    else:
        seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
        words = f"{status.st_ino} {seconds}.{nanoseconds:09d} {status.st_size}"
    write_if_changed(root / _LOOKED.relative_to("/"), f"{words}\n")


def run(command: Sequence[str]) -> bool:
    """Run a program; whether it says that all is well."""
    try:
        done = subprocess.run(command, check=False, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        log.warning("there is no %s", command[0])
        return False
    except subprocess.TimeoutExpired:
        log.warning("%s takes too long", " ".join(command))
        return False
    return done.returncode == 0


class Applier:
    """Carries actions out below `root` (a prefix, for tests), with `run` for programs."""

    def __init__(
        self, settings: Settings, user: str = USER, root: Path = gadget.ROOT, run: Run = run
    ) -> None:
        self._settings = settings
        self._user = user
        self._root = root
        self._run = run
        self._starting = True

    def apply(self, *, boot: bool) -> None:
        """Do what there is to do; ApplianceError where some of it failed."""
        path = self._place(_APPLIED)
        before = None if boot else _read_snapshot(path)
        after = snapshot(self._settings)
        wanted = actions(before, after)
        self._starting = before is None
        failed = [action for action in wanted if not self._try(action)]
        write_if_changed(path, json.dumps(in_force(before, after, failed), indent=1) + "\n")
        if not wanted:
            log.info("APPLIED already")
        if failed:
            raise ApplianceError(
                f"not all of the settings are in force: could not {', '.join(failed)}",
                hint="the log has the reasons",
            )

    def _try(self, action: Action) -> bool:
        log.info("APPLY   %s", action)
        try:
            self._work(action)()
        except ApplianceError as error:
            log.error("FAILED  %s: %s", action, error)
        except OSError as error:
            log.error("FAILED  %s: %s", action, error)
        else:
            return True
        return False

    def _work(self, action: Action) -> Callable[[], None]:
        table: dict[Action, Callable[[], None]] = {
            Action.MAKE_GADGET: self._make_gadget,
            Action.REMAKE_GADGET: self._make_gadget,
            Action.RESTART_RESPONDER: lambda: self._systemctl("restart", _RESPONDER),
            Action.RELOAD_RESPONDER: lambda: self._systemctl("reload-or-restart", _RESPONDER),
            Action.NETWORK: self._tell_networkd,
            Action.HOST_NAME: self._set_host_name,
            Action.RELOAD_LEDS: lambda: self._systemctl("reload-or-restart", _LEDS),
        }
        return table[action]

    def _make_gadget(self) -> None:
        wanted = gadget.gadget_settings(self._settings, device_identity(self._root))
        gadget.up(wanted, gadget.owner_named(self._user), self._root)

    def _tell_networkd(self) -> None:
        changed = False
        texts = {each.name: each.text for each in self._network_files()}
        for suffix in ("link", "network"):
            path = self._place(_NETWORK_FILES) / f"{FILE_NAME}.{suffix}"
            text = texts.get(path.name)
            changed |= remove_if_there(path) if text is None else write_if_changed(path, text)
        if changed and self._run(["systemctl", "is-active", "--quiet", _NETWORKD]):
            self._command("networkctl", "reload")

    def _network_files(self) -> Sequence[File]:
        if self._settings.network_function == "none":
            return ()
        serial = device_identity(self._root).serial_number
        network = cable_network(serial, self._settings.network_address)
        return networkd_files(network, network_addresses(serial).device)

    def _set_host_name(self) -> None:
        name = self._settings.network_host_name
        write_if_changed(self._place(Path("/etc/hostname")), f"{name}\n")
        hosts = self._place(Path("/etc/hosts"))
        write_if_changed(hosts, with_host(_read(hosts), name))
        if self._root == gadget.ROOT and socket.gethostname() != name:
            log.info("HOST    %s", name)
            socket.sethostname(name)
        if not self._starting:
            self._systemctl("try-restart", _AVAHI)

    def _systemctl(self, verb: str, unit: str) -> None:
        self._command("systemctl", "--no-block", verb, unit)

    def _command(self, *command: str) -> None:
        log.info("RUN     %s", " ".join(command))
        if not self._run(command):
            raise ApplianceError(f"{' '.join(command)} failed")

    def _place(self, path: Path) -> Path:
        return self._root / path.relative_to("/")


def with_host(text: str, name: str) -> str:
    """Give /etc/hosts the host's own name; what else is in it stays as it is."""
    lines = text.splitlines()
    wanted = f"{_HOSTS_ADDRESS}\t{name}"
    own = [index for index, line in enumerate(lines) if line.split()[:1] == [_HOSTS_ADDRESS]]
    if any(name in lines[index].partition("#")[0].split()[1:] for index in own):
        return text
    if own:
        lines[own[0]] = wanted
    else:
        lines.append(wanted)
    return "\n".join(lines) + "\n"


def write_if_changed(path: Path, text: str) -> bool:
    """Replace a file that all may read, if it says something else; whether it did."""
    if path.is_file() and _read(path) == text:
        return False
    log.info("WRITE   %s", path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.mtp-appliance")
    with new.open("w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True


def remove_if_there(path: Path) -> bool:
    """Remove a file; whether it was there."""
    if not path.exists():
        return False
    log.info("REMOVE  %s", path)
    path.unlink()
    return True


def need_root(root: Path) -> None:
    """Refuse to begin what cannot end well."""
    if root == gadget.ROOT and os.geteuid() != 0:
        raise ApplianceError(
            "only root can put settings into force", hint="sudo", status=ExitStatus.NEEDS_ROOT
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _read_snapshot(path: Path) -> Snapshot | None:
    try:
        found = json.loads(_read(path) or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
