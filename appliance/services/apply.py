# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the settings into force: gadget, services, network, host name. Root's part, at a start and
whenever the settings file has changed.

A step that fails does not keep the later ones from being done. What is in force is kept in
/run/mtp-appliance-gadget/applied.json, so the next time only what has changed is done.
"""

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from appliance import places
from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget.identity import device_identity, network_addresses
from appliance.network.plan import FILE_NAME, File, cable_network, networkd_files
from appliance.services import gadget
from appliance.services.apply_wifi import apply_wifi
from appliance.services.changes import Action, Snapshot, actions, half_done, in_force, snapshot
from appliance.services.root_files import put, read, write_if_changed
from appliance.services.system import NETWORK_FILES, Run, System, run
from appliance.settings.schema import Settings

log = logging.getLogger(__name__)

USER = "mtp-appliance"
_RESPONDER = "mtp-appliance.service"
_LEDS = "mtp-appliance-leds.service"
_AVAHI = "avahi-daemon.service"
_APPLIED = places.FUNCTIONFS.with_name("applied.json")
_LOOKED = places.FUNCTIONFS.with_name("looked-at")
_REFUSAL = places.FAILURES / "card-settings"
_NOT_IN_FORCE = places.FAILURES / "card-not-in-force"
_HOSTS_ADDRESS = "127.0.1.1"


def note_look(paths: Iterable[Path], root: Path = gadget.ROOT) -> None:
    """Write down which files they are that are looked at now, as `stat -c "%i %.Y %s"` says it.

    systemd does not look while this runs: at its end the unit asks whether they are still those.
    """
    text = "".join(map(_look_of, paths))
    write_if_changed(root / _LOOKED.relative_to("/"), text)


def _look_of(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    return f"{status.st_ino} {seconds}.{nanoseconds:09d} {status.st_size}\n"


def note_refusal(words: str, root: Path = gadget.ROOT) -> None:
    """Write down, for light and page, why the boot partition's settings do not count; "" if so."""
    text = None
    if words:
        what = f"{places.BOOT_SETTINGS.name} on the card does not count: {words.splitlines()[0]}"
        text = f"{what} | mend it on any PC; all that is wrong is written beside it\n"
    put(root / _REFUSAL.relative_to("/"), text)


class Applier:
    """Carries actions out below `root` (a prefix, for tests), with `run` for programs.

    `errors` are what is wrong with the settings file, which `settings` stand in for then.
    """

    def __init__(
        self,
        settings: Settings,
        user: str = USER,
        root: Path = gadget.ROOT,
        run: Run = run,
        *,
        errors: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._errors = errors
        self._user = user
        self._root = root
        self._system = System(root, run)
        self._starting = True
        self._half_done: frozenset[Action] = frozenset()

    def apply(self, *, boot: bool) -> None:
        """Do what there is to do; ApplianceError where some of it failed.

        At a start only where that is the gadget: for an error systemd starts the unit anew until it
        succeeds, and each time the responder with it. Light and page tell of the rest.
        """
        path = self._system.place(_APPLIED)
        last = _read_snapshot(path)
        before = None if boot else last
        after = snapshot(self._settings, self._errors)
        wanted = actions(before, after)
        self._starting = before is None
        self._half_done = half_done(last, after)
        failed = {action: error for action in wanted if (error := self._try(action))}
        # Secrets are in it.
        text = json.dumps(in_force(after, failed), indent=1) + "\n"
        write_if_changed(path, text, mode=0o600)
        if not wanted:
            log.info("APPLIED already")
        put(self._system.place(_NOT_IN_FORCE), _told(failed))
        if failed and (not boot or Action.MAKE_GADGET in failed):
            raise ApplianceError(
                f"not all of the settings are in force: could not {', '.join(failed)}",
                hint="the log has the reasons",
            )

    def _try(self, action: Action) -> ApplianceError | OSError | None:
        log.info("APPLY   %s", action)
        try:
            self._work(action)()
        except (ApplianceError, OSError) as error:
            log.error("FAILED  %s: %s", action, error)
            return error
        return None

    def _work(self, action: Action) -> Callable[[], None]:
        table: dict[Action, Callable[[], None]] = {
            Action.MAKE_GADGET: self._make_gadget,
            Action.REMAKE_GADGET: self._make_gadget,
            Action.RESTART_RESPONDER: lambda: self._system.systemctl("restart", _RESPONDER),
            Action.RELOAD_RESPONDER: lambda: self._reload(_RESPONDER),
            Action.NETWORK: self._tell_networkd,
            Action.HOST_NAME: self._set_host_name,
            Action.WIFI: self._set_up_wifi,
            Action.RELOAD_LEDS: lambda: self._reload(_LEDS),
        }
        return table[action]

    def _reload(self, unit: str) -> None:
        self._system.systemctl("reload-or-restart", unit)

    def _make_gadget(self) -> None:
        wanted = gadget.gadget_settings(self._settings, device_identity(self._root))
        gadget.up(wanted, gadget.owner_named(self._user), self._root)

    def _tell_networkd(self) -> None:
        changed = Action.NETWORK in self._half_done
        texts = {each.name: each.text for each in self._network_files()}
        for suffix in ("link", "network"):
            path = self._system.place(NETWORK_FILES) / f"{FILE_NAME}.{suffix}"
            changed |= put(path, texts.get(path.name))
        if changed:
            self._system.reload_networkd()

    def _network_files(self) -> Sequence[File]:
        if self._settings.network_function == "none":
            return ()
        serial = device_identity(self._root).serial_number
        network = cable_network(serial, self._settings.network_address)
        return networkd_files(network, network_addresses(serial).device)

    def _set_up_wifi(self) -> None:
        again = Action.WIFI in self._half_done
        apply_wifi(self._settings, self._system, starting=self._starting, again=again)

    def _set_host_name(self) -> None:
        name = self._settings.network_host_name
        self._note_host_name(name)
        if self._root == gadget.ROOT and socket.gethostname() != name:
            log.info("HOST    %s", name)
            socket.sethostname(name)
        if not self._starting:
            self._system.systemctl("try-restart", _AVAHI)

    def _note_host_name(self, name: str) -> None:
        """Write the name down for the next start; where /etc is read-only, each start sets it."""
        hosts = self._system.place(Path("/etc/hosts"))
        try:
            write_if_changed(self._system.place(Path("/etc/hostname")), f"{name}\n")
            write_if_changed(hosts, with_host(read(hosts), name))
        except OSError as error:
            if error.errno != errno.EROFS:
                raise


def _told(failed: Mapping[Action, ApplianceError | OSError]) -> str | None:
    """Say, for light and page, what is not in force, why, and what to do; None: all of it is."""
    if not failed:
        return None
    what, hints = [], []
    for action, error in failed.items():
        what.append(f"could not {action}: {getattr(error, 'message', error)}")
        hints += [error.hint] if isinstance(error, ApplianceError) and error.hint else []
    return f"{'; '.join(what)} | {', '.join(hints) or 'the log has the reasons'}\n"


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


def need_root(root: Path) -> None:
    """Refuse to begin what cannot end well."""
    if root == gadget.ROOT and os.geteuid() != 0:
        raise ApplianceError(
            "only root can put settings into force", hint="sudo", status=ExitStatus.NEEDS_ROOT
        )


def _read_snapshot(path: Path) -> Snapshot | None:
    try:
        found = json.loads(read(path) or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
