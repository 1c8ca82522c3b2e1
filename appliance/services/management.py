# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at the device can do while it serves: the verbs of the control socket, and who
besides root and the service's own user may ask for which.
"""

import pwd
from collections.abc import Callable, Collection, Mapping

from appliance.mtp.responder import Responder
from appliance.services.control_socket import Allowed, Verb
from appliance.settings.store import SettingsFile
from appliance.storage import Catalogue

#: What the button beside the LEDs may ask for, and what the settings page may.
_OTHERS: Mapping[str, Collection[str]] = {
    "mtp-appliance-leds": ("storage lock", "storage unlock", "reconnect"),
    "mtp-appliance-web": (
        *("storage list", "storage add", "storage remove", "storage rename", "storage order"),
        *("storage read-only", "storage browse", "storage eject", "storage load"),
        *("storage lock", "storage unlock", "reconnect", "history"),
        *("settings get", "settings set", "settings plan"),
        *("settings export", "settings import", "settings undo"),
        *("trash list", "trash restore", "trash empty"),
    ),
}

#: What need not wait until another deed is done: all that writes no settings. What it acts on
#: guards itself, as network peers, the watch and the clean-up of the trash come at any time too.
AT_ONCE = frozenset(
    {
        *("storage list", "storage browse", "storage eject", "storage load"),
        *("storage lock", "storage unlock", "reconnect", "history"),
        *("trash list", "trash restore", "trash empty"),
    }
)


def allowed_users() -> Allowed:
    """Say what other users of this machine may ask for."""
    allowed = {}
    for name, verbs in _OTHERS.items():
        try:
            allowed[pwd.getpwnam(name).pw_uid] = verbs
        except KeyError:
            continue  # no appliance, but somebody's own machine
    return allowed


def all_verbs(
    catalogue: Catalogue,
    responder: Responder,
    settings: SettingsFile | None,
    reload: Callable[[], None] = lambda: None,
) -> dict[str, Verb]:
    """Give all verbs by name; `reload` puts into force what the settings file says now.

    They are loaded here, that is when somebody asks: a tenth of what a start would take.
    """
    from appliance.services.settings_verbs import SettingsVerbs  # noqa: PLC0415
    from appliance.services.storage_verbs import StorageVerbs  # noqa: PLC0415
    from appliance.services.trash_verbs import TrashVerbs  # noqa: PLC0415

    return {
        **StorageVerbs(catalogue, settings).verbs(),
        **SettingsVerbs(settings, reload).verbs(),
        **TrashVerbs(catalogue, responder).verbs(),
    }
