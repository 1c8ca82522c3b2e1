# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's helper: does for the settings page what only root may do, one thing at a time.

systemd listens for it and starts it when somebody asks; when nobody does any more it ends. Who asks
is known from the kernel: root, the page's own user, and the button's. What may be asked is a closed
table.
"""

import logging
import pwd
import select
import socket
from collections.abc import Mapping, Sequence

from appliance.errors import ApplianceError
from appliance.services.activation import listening_sockets
from appliance.services.control_socket import NOBODY_ELSE, Allowed, Answers, Verb
from appliance.services.helper_verbs import verbs
from appliance.services.notify import notify
from appliance.services.stopping import Stop

log = logging.getLogger(__name__)

PAGE_USER, BUTTON_USER = "mtp-appliance-web", "mtp-appliance-leds"
#: What the button held down asks for.
_OF_THE_BUTTON = ("factory reset",)


def run(idle: float) -> None:
    """Answer at the sockets that systemd has handed over, until nobody asked for `idle` seconds."""
    sockets = listening_sockets()
    if not sockets:
        hint = "systemd does that: systemctl start mtp-appliance-helper.socket"
        raise ApplianceError("nobody listens for the helper", hint=hint)
    table = all_verbs()
    answers = Answers(lambda: table, allowed(table))
    stop = Stop()
    with stop.listening():
        notify("READY=1")
        answer(answers, sockets, idle, stop)
    notify("STOPPING=1")


def all_verbs() -> Mapping[str, Verb]:
    """Give all verbs by name."""
    return verbs()


def allowed(table: Mapping[str, Verb]) -> Allowed:
    """Say who besides root may ask: the settings page for all there is, the button for one."""
    try:
        page, button = (pwd.getpwnam(name).pw_uid for name in (PAGE_USER, BUTTON_USER))
    except KeyError:
        return NOBODY_ELSE
    return {button: _OF_THE_BUTTON, page: tuple(table)}


def answer(answers: Answers, sockets: Sequence[socket.socket], idle: float, stop: Stop) -> None:
    """Answer one after the other; who asks while another is answered waits."""
    while not stop.is_asked:
        ready, _, _ = select.select(
            [stop.fileno(), *(each.fileno() for each in sockets)], [], [], idle
        )
        if not ready:
            log.info("IDLE    for %.0f s", idle)
            return
        for each in sockets:
            if each.fileno() in ready:
                answers.to(each.accept()[0])
