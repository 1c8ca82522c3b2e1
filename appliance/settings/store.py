# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file: TOML that people edit, and that the appliance edits without losing a comment.

A file that cannot be understood is never a reason not to serve: what was read last serves, or the
defaults, and what is wrong is said. Secrets lie apart (`appliance/settings/secret_files.py`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, ExitStatus
from appliance.settings.files import (
    IrregularFileError,
    in_words,
    leads_to,
    locked,
    looks_of,
    read_regular,
    remove,
    write_atomically,
)
from appliance.settings.interpretation import LARGEST, Findings, interpret, read_toml
from appliance.settings.migrations import VERSION, migrate
from appliance.settings.schema import Settings, StorageSetting
from appliance.settings.secret_files import SECRETS, SecretFiles, directory_for, part
from appliance.values import dataclass, replace

log = logging.getLogger(__name__)

_GOOD_COPY = "settings.good.toml"
_BEFORE = "settings.before.toml"
#: The LEDs read it, as members of the responder's group.
_MODE = 0o640

Edit = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings, and what was found on the way; `from_good_copy`: the file itself is no use."""

    settings: Settings
    findings: Findings
    from_good_copy: bool = False


class SettingsFile:
    """One settings file; `keep` is the directory for copies: of what was last understood, and of
    what that was before it became something else.

    Only its owner `keeps` them: root's copies would be closed to the responder. `secrets` is the
    directory of the files with secrets, where it is not the usual one.
    """

    def __init__(
        self, path: Path, keep: Path, *, keeps: bool = True, secrets: Path | None = None
    ) -> None:
        self.path = path
        self._secrets = SecretFiles(secrets or directory_for(path))
        self._keeps = keeps
        self._good_copy = keep / _GOOD_COPY
        self._before = keep / _BEFORE

    def read(self) -> Reading:
        """Read the file; where it has errors, what was understood last."""
        try:
            text = _read_text(self.path)
            settings, findings = interpret(read_toml(text))
        except (OSError, ValueError) as error:
            return self._fall_back(Findings([in_words(error)]))
        if findings.errors:
            return self._fall_back(findings)
        if self._keeps:
            self._keep(text, settings)
        return Reading(self._secrets.fill(settings, findings), findings)

    def understood(self) -> tuple[Settings, Findings]:
        """Read what the file says itself; ApplianceError where there is none."""
        settings, findings = self._said()
        return self._secrets.fill(settings, findings), findings

    def text(self) -> str:
        """Read the file as it is; ApplianceError where that cannot be."""
        try:
            return _read_text(self.path)
        except (OSError, ValueError) as error:
            raise self._explain(error) from None

    def is_broken(self) -> bool:
        """Whether what lies there makes no settings; a card that cannot be read is no reason."""
        try:
            return bool(understand(_read_text(leads_to(self.path)))[1].errors)
        except (ValueError, IrregularFileError):
            return True
        except OSError:
            return False

    def before(self) -> str:
        """Read the text that was in force before the last change, or before the file was broken.

        ApplianceError for none.
        """
        current, findings = self._said()
        for copy in (self._good_copy, self._before):
            with suppress(OSError, ValueError):
                text = _read_text(copy)
                if _differ(current, _require_good(text)) or findings.errors:
                    return text
        raise ApplianceError("there is no change to undo")

    def forget(self) -> None:
        """Forget what was in force before, so that nobody returns to another owner's settings."""
        for copy in (self._good_copy, self._before):
            remove(copy)

    # Edits: what they do not change stays as it was

    def set(self, values: Mapping[str, Any]) -> Settings:
        """Set values by their keys; the settings that follow."""
        plain = {key: value for key, value in values.items() if key not in SECRETS}
        self.set_secrets({key: values[key] for key in values if key in SECRETS})
        if not plain:
            return self.read().settings
        return self.edit(lambda text: _document().with_values(text, plain))

    def unset(self, key: str) -> Settings:
        """Let a value's default hold; the settings that follow."""
        if key in SECRETS:
            return self.set({key: ""})
        return self.edit(lambda text: _document().without(text, key))

    def set_secrets(self, values: Mapping[str, str]) -> None:
        """Set secrets by their keys, which changes the settings file in nothing."""
        try:
            self._secrets.write(values)
        except (OSError, ValueError) as error:
            raise self._explain(error, self._secrets.directory) from None

    def forget_secrets(self) -> None:
        """Let there be no secrets, not even those that an older settings file still has."""
        self.set_secrets(dict.fromkeys(SECRETS, ""))

    def separate(self) -> None:
        """Take secrets out of the file and its copies, where older versions kept them.

        They have files of their own before they go from here, so power may go at any time. While
        nothing can be read that may say one, all stays as it is.
        """
        reading = self.read()
        if reading.findings.errors and not reading.from_good_copy:
            return
        said = {key: getattr(reading.settings, item.name) for key, (item, _) in SECRETS.items()}
        self.set_secrets({key: said[key] for key in self._secrets.missing()})
        for path in (self.path, self._good_copy, self._before):
            with suppress(FileNotFoundError, IrregularFileError, ValueError):
                self._strip(path)

    def looks(self) -> object:
        """Tell one state of the file and its secrets from another."""
        paths = (self.path, *(self._secrets.directory / key for key in SECRETS))
        return tuple(map(looks_of, paths))

    def add_storage(self, storage: StorageSetting) -> None:
        """Write a storage into the file, after the others."""
        self.edit(lambda text: _document().with_storage(text, storage))

    def remove_storage(self, path: Path) -> None:
        """Take the storage of a folder out of the file."""
        self.edit(lambda text: _document().without_storage(text, path))

    def set_in_storage(self, path: Path, name: str, value: bool | str) -> None:
        """Write one value of the storage of a folder, such as `read_only`."""
        self.edit(lambda text: _document().with_storage_value(text, path, name, value))

    def order_storages(self, paths: Sequence[Path]) -> None:
        """Write the storages in this order."""
        self.edit(lambda text: _document().with_order(text, paths))

    def edit(self, change: Edit) -> Settings:
        """Change the file's text, which must be understood before and after."""
        try:
            with locked(self.path):
                text = _read_text(self.path)
                document = read_toml(text)
                _require_good(text)
                if document.get("version", VERSION) != VERSION:
                    text = _document().migrated(text, migrate)
                changed = change(text)
                settings = _require_good(changed)
                if changed != text:
                    write_atomically(leads_to(self.path), _encode(changed))
        except (OSError, ValueError) as error:
            raise self._explain(error) from None
        return self._secrets.fill(settings, Findings())

    def replace(self, text: str) -> Settings:
        """Put another text in the file's place, whatever it says now; secrets that it names are
        set, the others stay.
        """
        try:
            _require_good(text)
            text, secrets = part(text)
            settings = _require_good(text)
            self.set_secrets(secrets)
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with locked(self.path):
                write_atomically(self.path, _encode(text), mode=_MODE)
        except (OSError, ValueError) as error:
            raise self._explain(error) from None
        return self._secrets.fill(settings, Findings())

    def _said(self) -> tuple[Settings, Findings]:
        """Read what the file says but for secrets, if it says anything."""
        try:
            return understand(_read_text(self.path))
        except (ValueError, IrregularFileError) as error:
            return Settings(), Findings([in_words(error)])
        except OSError as error:
            raise self._explain(error) from None

    def _strip(self, path: Path) -> None:
        text = _read_text(path)
        without, said = part(text)
        if said and not path.is_symlink():
            log.info("SECRETS %s: taken out of %s", ", ".join(said), path)
            write_atomically(path, without.encode())

    def _explain(self, error: OSError | ValueError, where: Path | None = None) -> ApplianceError:
        words = f"{where or self.path}: {in_words(error)}"
        if isinstance(error, PermissionError):
            return ApplianceError(words, hint="use sudo", status=ExitStatus.NEEDS_ROOT)
        return ApplianceError(words, hint="the file is as it was")

    def _keep(self, text: str, settings: Settings) -> None:
        """Keep what is good, and what was good before if that said anything else."""
        try:
            kept = _read_text(self._good_copy)
        except (OSError, ValueError):
            kept = ""
        if kept == text:
            return
        try:
            if kept and _differ(understand(kept)[0], settings):
                write_atomically(self._before, kept.encode())
            write_atomically(self._good_copy, text.encode())
        except OSError:
            return  # the file itself is good; there is only nothing to fall back on

    def _fall_back(self, findings: Findings) -> Reading:
        try:
            settings, again = interpret(read_toml(_read_text(self._good_copy)))
        except (OSError, ValueError):
            return Reading(self._secrets.fill(Settings(), findings), findings)
        settings = self._secrets.fill(Settings() if again.errors else settings, findings)
        return Reading(settings, findings, from_good_copy=not again.errors)


def understand(text: str) -> tuple[Settings, Findings]:
    """Read a text as a settings file; an error where it is none at all."""
    try:
        return interpret(read_toml(text))
    except ValueError as error:
        return Settings(), Findings([in_words(error)])


def _differ(one: Settings, other: Settings) -> bool:
    """Whether there is a change that can be undone; one of a secret cannot."""
    none: dict[str, Any] = {item.name: "" for item, _ in SECRETS.values()}
    return replace(one, **none) != replace(other, **none)


def _document() -> Any:
    """Load what edits: it is large, and seldom needed."""
    from appliance.settings import document  # noqa: PLC0415

    return document


def _read_text(path: Path) -> str:
    """Read what any editor may have written: some put a mark before UTF-8."""
    return read_regular(path, LARGEST).decode("utf-8-sig")


def _encode(text: str) -> bytes:
    """Encode what is to be read again; ValueError for more than that."""
    data = text.encode()
    if len(data) > LARGEST:
        raise ValueError(f"the text is longer than {LARGEST} bytes")
    return data


def _require_good(text: str) -> Settings:
    settings, findings = understand(text)
    if findings.errors:
        raise ValueError(findings.errors[0])
    return settings
