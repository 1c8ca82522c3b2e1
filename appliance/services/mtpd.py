# SPDX-License-Identifier: GPL-3.0-or-later
"""The MTP service: folders, responder and transports, wired together until a signal ends it."""

import gc
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.control import socket_path
from appliance.gadget.identity import device_identity
from appliance.log import NAMES, set_level
from appliance.mtp.codes import DevicePropertyCode
from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.services.control_socket import ControlServer, Verb
from appliance.services.host import LinuxHost
from appliance.services.management import AT_ONCE, all_verbs, allowed_users
from appliance.services.notify import notify
from appliance.services.optional import (
    guests_road,
    make_binder,
    ptpip_road,
    serve_beside,
    wifi_server,
)
from appliance.services.reloading import (
    Reloader,
    add_storages,
    folder_of,
    tell_findings,
    trash_policy,
)
from appliance.services.reporting import Places, Reporter
from appliance.services.status_file import StatusFile, status_path
from appliance.services.stopping import Stop
from appliance.services.upkeep import Upkeep
from appliance.services.watchdog import Watchdog
from appliance.settings.addresses import parse_address
from appliance.settings.guest_places import GuestPlace, parse_guest_place
from appliance.settings.interpretation import Findings
from appliance.settings.schema import Settings, StorageSetting
from appliance.settings.state import State, state_directory
from appliance.settings.store import Reading, SettingsFile
from appliance.storage import Catalogue, Folder, WriteSafety
from appliance.values import dataclass, replace

if TYPE_CHECKING:
    from appliance.services.binding import Binder
    from appliance.services.roads import Road
    from appliance.transports.functionfs import FunctionFsTransport

log = logging.getLogger(__name__)

#: What `announce` is told, line by line, when all is ready.
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, and over which roads; no road by itself.

    `listen` are hosts with TCP ports, `usbredir` where virtual machines are met. With `usb` a
    gadget is made on the controller named `udc`, None for the first one; `functionfs` is where
    somebody else has mounted FunctionFS, and `bind` the gadget that goes with it, if that is to be
    bound from here.
    `name` is the friendly name where no PC has given another, "" for the model's. Where neither
    `listen` nor the settings name an address, `default_listen` holds. `settings` is the file that
    says the rest, instead of `folders`, `trash` and `allow_format`. `verbosity` is how much is
    logged beyond what the settings say.
    """

    folders: tuple[Folder, ...] = ()
    listen: tuple[tuple[str, int], ...] = ()
    default_listen: tuple[tuple[str, int], ...] = ()
    usbredir: tuple[GuestPlace, ...] = ()
    usb: bool = False
    udc: str | None = None
    functionfs: Path | None = None
    bind: str = ""
    name: str = ""
    state_directory: Path | None = None
    settings: Path | None = None
    trash: bool = True
    allow_format: bool = False
    verbosity: int = 0


def serve(options: Options, announce: Announce) -> None:
    """Serve until a signal; raises ApplianceError where that cannot begin."""
    stop = Stop()
    with stop.listening(), ExitStack() as stack:
        file = _settings_file(options)
        reading = _reading(options, file)
        settings = reading.settings
        set_level(options.verbosity + NAMES[settings.log_level])
        binder = make_binder(options.bind, options.udc or settings.usb_controller)
        responder, reporter = _responder(options, reading, file, binder, stack)
        watchdog = Watchdog(look=reporter.look)
        watchdog.watch("the status", lambda: reporter.is_alive)
        lines = _folder_lines(tuple(map(folder_of, settings.storages)))
        roads = _roads(options, settings, responder, watchdog)
        if roads:
            lines += serve_beside(roads, reporter, stack)
        if settings.wifi_ptpip and file is not None:
            stack.enter_context(wifi_server(responder))
        usb = None
        if options.usb or options.functionfs is not None:
            usb = serve_usb(responder, options, settings, stack)
            watchdog.watch("the USB worker", lambda: usb.is_alive)
            alone = not (roads or settings.wifi_ptpip)
            obstacle = None if binder is None else binder.lasting
            reporter.serves_usb(options.udc or settings.usb_controller, obstacle, alone=alone)
            stop.call(usb.stop)
            lines.append("Ready over USB.")
        notify("READY=1")
        gc.freeze()  # what a start has made is there to stay
        gc.enable()
        reporter.ready()
        if binder is not None:
            stack.enter_context(binder)
        for line in lines:
            announce(line)
        if usb is not None:
            usb.serve(watchdog.beat)
        else:
            stop.wait(watchdog.beat)
        log.info("STOP")
        notify("STOPPING=1")


def _state(options: Options) -> Path:
    return options.state_directory or state_directory()


def _settings_file(options: Options) -> SettingsFile | None:
    return None if options.settings is None else SettingsFile(options.settings, _state(options))


def _reading(options: Options, file: SettingsFile | None) -> Reading:
    """Say what is to be done: what the file says, or else the command line."""
    if file is not None:
        reading = file.read()
        tell_findings(reading, file.path)
        return reading
    storages = tuple(
        StorageSetting(each.path, each.name, each.read_only, each.hidden_files)
        for each in options.folders
    )
    settings = Settings(
        storages=storages,
        network_function="none",
        trash_keep=options.trash,
        allow_format=options.allow_format,
    )
    return Reading(settings, Findings())


def _responder(
    options: Options,
    reading: Reading,
    file: SettingsFile | None,
    binder: "Binder | None",
    stack: ExitStack,
) -> tuple[Responder, Reporter]:
    """Wire what serves, and what tells of it, until `stack` is left."""
    settings = reading.settings
    state = State(_state(options), default_name=options.name or settings.name)
    device = Device(device_identity(), state, LinuxHost(clock_settable=settings.set_clock))
    folders = tuple(map(folder_of, settings.storages))
    catalogue = stack.enter_context(
        Catalogue(
            folders if file is None else (),
            watch=True,
            renew=True,
            trash=trash_policy(settings),
            allow_format=settings.allow_format,
            write_safety=WriteSafety(settings.write_safety),
        )
    )
    stack.enter_context(Upkeep(catalogue))
    status = StatusFile.claim(status_path(options.state_directory))
    places = Places(status, state=_state(options))
    reporter = Reporter(catalogue, lambda: device.friendly_name, places)
    stack.enter_context(reporter)
    reporter.settings_read(reading)
    if file is not None:
        reporter.storages_failed(add_storages(catalogue, folders))
    responder = Responder(device, catalogue, reporter.monitor)
    reload = _nothing
    if file is not None:
        parts = (catalogue, responder, reporter)
        rename = renamer(options.name, state, responder)
        reloader = Reloader(file, settings, *parts, rename=rename, verbosity=options.verbosity)
        _reload_at_signal(reloader, stack)
        reload = reloader.reload

    def verbs() -> Mapping[str, Verb]:
        bound = {} if binder is None else {"reconnect": binder.reconnect}
        others = {"history": reporter.history, **bound}
        return all_verbs(catalogue, responder, file, reload) | others

    socket = socket_path(options.state_directory)
    stack.enter_context(ControlServer(socket, verbs, allowed_users(), at_once=AT_ONCE))
    return responder, reporter


def _nothing() -> None:
    """Reload nothing: there is no file."""


def renamer(fixed: str, state: State, responder: Responder) -> Callable[[str], None]:
    """Say what takes a name from the settings; one that the command line has `fixed` stays."""

    def rename(name: str) -> None:
        before = responder.device.friendly_name
        state.set_default_name(fixed or name)
        if responder.device.friendly_name != before:
            responder.device_property_changed(DevicePropertyCode.DEVICE_FRIENDLY_NAME)

    return rename


def _reload_at_signal(reloader: Reloader, stack: ExitStack) -> None:
    """Let SIGHUP reload, beside what is being served, until `stack` is left."""

    def reload(number: int, frame: object) -> None:
        threading.Thread(target=reloader.reload, name="reload", daemon=True).start()

    stack.callback(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, reload))


def _folder_lines(folders: tuple[Folder, ...]) -> list[str]:
    return [
        f'Serving {folder.path} as "{folder.name}"{", read-only" if folder.read_only else ""}.'
        for folder in folders
    ]


def _roads(
    options: Options, settings: Settings, responder: Responder, watchdog: Watchdog
) -> "list[Road]":
    """Say over which roads beside USB to serve, and where; the command line's word counts first."""
    listen = options.listen or tuple(map(parse_address, settings.listen))
    guests = options.usbredir or tuple(map(parse_guest_place, settings.usbredir))
    roads: list[Road] = []
    if listen or options.default_listen:
        is_needed = bool(options.listen) or not listen
        places = listen or options.default_listen
        roads.append(ptpip_road(responder, places, watchdog, is_needed=is_needed))
    if guests:
        is_needed = bool(options.usbredir)
        roads.append(guests_road(responder, guests, settings, watchdog, is_needed=is_needed))
    return roads


def serve_usb(
    responder: Responder, options: Options, settings: Settings, stack: ExitStack
) -> "FunctionFsTransport":
    """Make ready for a USB host until `stack` is left; `serve` of what is given does the rest."""
    # Over PTP/IP alone this is not needed, and python-functionfs may not be there.
    from appliance.services.usb import UsbOptions, usb_transport  # noqa: PLC0415

    if options.settings is None:  # a folder on somebody's own machine, which has its networks
        settings = replace(settings, network_function="none")
    controller = options.udc or settings.usb_controller or None
    choice = UsbOptions(options.functionfs, controller, settings)
    identity = responder.device.identity
    return stack.enter_context(usb_transport(responder, identity, choice))
