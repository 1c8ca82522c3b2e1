# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do with the settings of an appliance that serves.

What would be different is said before, by `plan` and by `dry`, in the same form as after. Secrets
come neither in nor out: a responder that somebody has taken over is to see none.
"""

from collections.abc import Callable, Mapping
from typing import Any

from appliance.errors import ApplianceError
from appliance.services.control_socket import Verb
from appliance.settings import examples
from appliance.settings.differences import differences, told
from appliance.settings.planning import plan
from appliance.settings.schema import declared
from appliance.settings.secret_files import SECRETS, part
from appliance.settings.store import Reading, SettingsFile
from appliance.settings.takeover import Adopted, adopt, return_to
from appliance.settings.values import find, parse

#: What one setting was and will be, and when that is in force.
Said = dict[str, Any]


class SettingsVerbs:
    """Acts on the settings file, and then calls `reload`, which puts it into force."""

    def __init__(self, file: SettingsFile | None, reload: Callable[[], None]) -> None:
        self._given = file
        self._reload = reload

    def verbs(self) -> Mapping[str, Verb]:
        """Give the verbs by name."""
        return {
            "settings get": self.get,
            "settings set": self.set,
            "settings plan": self.plan,
            "settings export": self.export,
            "settings import": self.take,
            "settings undo": self.undo,
            "settings reset": self.reset,
        }

    def get(self) -> dict[str, Any]:
        """Say all settings but the secrets."""
        settings = self._file.read().settings
        return {
            key: getattr(settings, item.name)
            for key, item, setting in declared()
            if not setting.secret
        }

    def set(self, values: Mapping[str, str]) -> list[str]:
        """Set values, given as text; what is different now. They take effect by themselves."""
        return self._set({_settable(key): parse(key, text) for key, text in values.items()})

    def plan(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Say what `set` would change, and which values it would refuse."""
        return plan(self._file.read().settings, {_settable(key): values[key] for key in values})

    def export(self) -> str:
        """Give all settings as a text that `import` takes; no secrets are in it."""
        return examples.of(self._file.read().settings)

    def take(self, text: str, dry: bool) -> list[Said]:
        """Take a text over, in which there are no secrets; those that are known stay."""
        reading = self._file.read()
        adopted = adopt(reading.settings, text)
        if part(text)[1]:
            raise ApplianceError("there are secrets in this", hint=_ELSEWHERE)
        return self._replace(reading, adopted, dry=dry)

    def undo(self, dry: bool) -> list[Said]:
        """Return to what was in force before the last change, or before the file was broken.

        The secrets stay.
        """
        text, reading = self._file.before(), self._file.read()
        return self._replace(reading, return_to(reading.settings, text), dry=dry)

    def reset(self) -> list[str]:
        """Return to the settings of a new appliance, for good; no file in a storage is touched."""
        before = self._file.read().settings
        self._file.forget_secrets()
        after = self._file.replace(examples.shipped())
        self._file.forget()
        self._reload()
        return [str(each) for each in differences(before, after)]

    def _set(self, wanted: Mapping[str, Any]) -> list[str]:
        before = self._file.read().settings
        after = self._file.set(wanted)
        self._reload()
        return [str(each) for each in differences(before, after)]

    def _replace(self, reading: Reading, adopted: Adopted, *, dry: bool) -> list[Said]:
        """Say what is different; a file with errors is mended also by what says the same."""
        changes = differences(reading.settings, adopted.settings)
        if (changes or reading.findings.errors) and not dry:
            self._file.replace(adopted.text)
            self._reload()
        return told(changes)

    @property
    def _file(self) -> SettingsFile:
        if self._given is None:
            hint = "start it with one: mtp-appliance serve --settings FILE"
            raise ApplianceError("this appliance has no settings file", hint=hint)
        return self._given


_ELSEWHERE = "they are set by: mtp-appliance settings password, or passphrase"


def _settable(key: str) -> str:
    """Refuse what this service is not to know, and what is no setting."""
    if key in SECRETS:
        raise ApplianceError(f"{key} is no text to set", hint=_ELSEWHERE)
    find(key)
    return key
