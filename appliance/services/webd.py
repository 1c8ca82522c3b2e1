# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings page's process: the page of `webui`, a server under it, and an end to both.

systemd listens and starts it at the first connection; when nobody has looked for a while it ends,
and what it took is free again. Elsewhere it listens by itself until a signal.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from appliance import places
from appliance.control import SOCKET_NAME
from appliance.errors import ApplianceError
from appliance.network.wifi import INTERFACE
from appliance.services.activation import listening_sockets
from appliance.services.announced import Announced
from appliance.services.notify import notify
from appliance.services.own_addresses import own_addresses
from appliance.services.page_server import PageServer
from appliance.services.status_file import find_status
from appliance.services.stopping import Stop
from appliance.services.watchdog import Watchdog
from appliance.settings.boot import separate_secrets
from appliance.settings.state import state_directory
from appliance.values import dataclass
from webui import create_app
from webui.config import OVER_WIFI, Config
from webui.limits import body_limit

log = logging.getLogger(__name__)

#: Bytes of an interface's name, with its end. Spec: netdevice(7).
_NAME_SIZE = 16


@dataclass(frozen=True, slots=True)
class Options:
    """Where things lie, and where to listen where nobody listens already.

    `status` None: that of the appliance that runs here. `state` None: systemd's directory, or the
    user's. `idle`: seconds after which nobody looks any more, None for never.
    """

    settings: Path
    status: Path | None
    state: Path | None
    listen: tuple[tuple[str, int], ...]
    idle: float | None = None
    helper: Path = places.HELPER


def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until a signal, or until nobody looks any more."""
    stop = Stop()
    with stop.listening(), ExitStack() as stack:
        given = listening_sockets()
        if not options.helper.is_socket():
            separate_secrets(options.settings, options.state or _own_state())
        sockets = given or [_listen(*each) for each in options.listen]
        hosts = _hosts()
        application = create_app(_config(options, hosts))
        limit = partial(body_limit, application)
        server = PageServer(application, sockets, limit=limit, environment=environment_of)
        stack.callback(server.close)
        stack.callback(notify, "STOPPING=1")
        for each in sockets:
            announce(f"The settings page is at {_url(each)}")
        notify("READY=1")
        _turn(server, stop, options.idle, lambda: bool(given) and _hosts() != hosts)


def environment_of(listener: socket.socket) -> Mapping[str, object]:
    """Say whether who comes by a socket comes over the Wi-Fi: it hears that interface alone."""
    try:
        name = listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _NAME_SIZE)
    except OSError:
        return {OVER_WIFI: True}  # its interface is gone, and nobody is to come
    return {OVER_WIFI: name.rstrip(b"\0") == INTERFACE.encode()}


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "is something else there already? another --listen ADDRESS:PORT helps"
        raise ApplianceError(f"cannot listen at {host}:{port}: {error}", hint=hint) from None


def _turn(
    server: PageServer, stop: Stop, idle: float | None, is_elsewhere: Callable[[], bool]
) -> None:
    """Serve; where systemd starts it anew, it ends when its addresses are others."""
    watchdog = Watchdog()
    while not stop.is_asked:
        server.turn()
        watchdog.beat()
        if idle is not None and server.idle > idle:
            log.info("IDLE    for %.0f s", idle)
            return
        if is_elsewhere():
            log.info("MOVED   to other addresses")
            return


def _config(options: Options, hosts: tuple[str, ...]) -> Config:
    status = (options.status or find_status()).absolute()
    state = options.state or _own_state()
    return Config(
        settings=options.settings,
        status=status,
        control=status.with_name(SOCKET_NAME),
        helper=options.helper if options.helper.is_socket() else None,
        state=state.absolute(),
        hosts=hosts,
        failures=places.FAILURES,
        announced=Announced(),
    )


def _own_state() -> Path:
    found = state_directory()
    return found if os.environ.get("STATE_DIRECTORY") else found / "web"


def _hosts() -> tuple[str, ...]:
    return (socket.gethostname().lower(), *own_addresses())


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
