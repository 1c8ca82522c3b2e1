# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings from the boot partition, which any PC can read and write.

A file that is there, and is another than the last one that was taken over, goes over the settings.
What is wrong with it is written beside it in words, and then nothing of it counts.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.settings import examples, passwords
from appliance.settings.files import make_way, read_regular, write_atomically
from appliance.settings.interpretation import LARGEST, interpret, read_toml
from appliance.settings.migrations import migrate
from appliance.settings.schema import Settings, declared
from appliance.settings.secret_files import SECRETS, said_in
from appliance.settings.store import SettingsFile

log = logging.getLogger(__name__)

ERRORS_NAME = "mtp-appliance-errors.txt"
RESET_NAME = "reset-password"
#: What is remembered in the directory of the marks: root's, for who serves the files could else
#: keep a start waiting there, and a wish from being heeded.
_TAKEN, _HEEDED = "boot.digest", "reset-password.done"
_LONGEST_MARK = 200
_PASSWORD = "web.password"
_SECRET_LINE = re.compile(
    "|".join(r"\s*({}\s*\.\s*)?{}\s*=".format(*key.split(".")) for key in SECRETS)
)


def separate_secrets(settings_path: Path, *states: Path) -> None:
    """Take secrets out of the settings file, and of copies in `states`: older versions had them."""
    for state in states:
        try:
            SettingsFile(settings_path, state, keeps=False).separate()
        except (ApplianceError, OSError) as error:
            log.error("BOOT    secrets stay where they were: %s", error)


def take_over_boot_file(
    boot_path: Path,
    settings_path: Path,
    state: Path,
    marks: Path,
    refuse: Callable[[str], None] = lambda words: None,
) -> bool:
    """Take over what `boot_path` says; whether anything changed.

    `state` is the directory of the settings' copies, `marks` the one that remembers what was taken
    over; `refuse` is told why nothing of the file counts. Nothing here keeps an appliance from
    starting: what goes wrong is logged, and written beside the file where that can be.
    """
    file = SettingsFile(settings_path, state, keeps=False)
    try:
        _restore(file)
        was_reset = _reset_password(wishes(boot_path.parent), file, marks / _HEEDED)
        _move_mark(state / _TAKEN, marks / _TAKEN)
        if not _take_over(boot_path, file, marks / _TAKEN, refuse):
            return was_reset
        return True
    except (ApplianceError, OSError) as error:
        log.error("BOOT    %s: %s", boot_path, error)
        return False


def _restore(file: SettingsFile) -> None:
    """Write the shipped settings where there are none."""
    if not file.path.exists():
        log.info("BOOT    no settings: those of a new appliance")
        file.replace(examples.shipped())


def wishes(boot: Path) -> list[Path]:
    """Find the files that ask for a reset of the password, with any ending, as editors give it."""
    try:
        found = sorted(boot.iterdir())
    except OSError:
        return []
    return [each for each in found if each.name.partition(".")[0].strip().lower() == RESET_NAME]


def _reset_password(requests: Sequence[Path], file: SettingsFile, heeded: Path) -> bool:
    if not requests:
        with suppress(OSError):
            heeded.unlink(missing_ok=True)
        return False
    if heeded.exists():
        return False
    try:
        file.unset(_PASSWORD)
    except ApplianceError as error:
        # A full card, or a failing one: the wish stands.
        log.warning("BOOT    the password cannot be forgotten yet: %s", error)
        return False
    log.info("BOOT    the password of the settings page is forgotten")
    for each in requests:
        _remove(each, heeded)
    return True


def _remove(request: Path, heeded: Path) -> None:
    """Remove a wish that was heeded; where it cannot go, remember that it was."""
    try:
        request.unlink(missing_ok=True)
    except OSError as error:
        log.warning("BOOT    %s stays, and counts no more: %s", request, error.strerror)
        with suppress(OSError):
            write_atomically(heeded, b"")


def _move_mark(earlier: Path, taken: Path) -> None:
    """Remember what an older version took over, which kept its mark elsewhere."""
    if not taken.exists():
        with suppress(OSError, ValueError):
            write_atomically(taken, read_regular(earlier, _LONGEST_MARK))


def _take_over(path: Path, file: SettingsFile, taken: Path, refuse: Callable[[str], None]) -> bool:
    try:
        with path.open("rb") as source:
            data = source.read(LARGEST + 1)
    except FileNotFoundError:
        return False
    digest = hashlib.sha256(data).hexdigest()
    if _last(taken) == digest:
        return False
    try:
        document = _parse(data)
        has_secret = bool(_secrets_in(document))
        _hash_password(document)
        settings, warnings = _understand(document)
        values = _said(document, settings)
        _write_over(file, values, settings if "storages" in document else None)
    except (ValueError, ApplianceError) as error:
        _tell(path, str(error))
        refuse(str(error))
        return False
    log.info("BOOT    %s: %s", path, ", ".join(values) or "nothing new")
    if has_secret:
        data, stays = _take_away(path, data)
        digest, warnings = hashlib.sha256(data).hexdigest(), [*warnings, *stays]
    _tell(path, "\n".join(warnings))
    write_atomically(taken, digest.encode())
    return True


def _last(taken: Path) -> str:
    try:
        return read_regular(taken, _LONGEST_MARK).decode().strip()
    except (OSError, ValueError):
        return ""


def _parse(data: bytes) -> dict[str, Any]:
    """Read what any editor of any PC may have written."""
    if len(data) > LARGEST:
        raise ValueError(f"the file is longer than {LARGEST} bytes")
    text = _decode(data).replace("\r\n", "\n").replace("\r", "\n")
    document = read_toml(text)
    migrate(document)
    return document


def _decode(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8: save it as UTF-8") from None


def _hash_password(document: dict[str, Any]) -> None:
    """Put a hash in the place of a password that a person has written."""
    if _PASSWORD not in _secrets_in(document):
        return
    password = document["web"]["password"]
    complaint = passwords.complaint(password)
    if complaint:
        raise ValueError(f"{_PASSWORD}: the password {complaint}")
    document["web"]["password"] = passwords.hash_password(password)


def _secrets_in(document: Mapping[str, Any]) -> list[str]:
    """Name the secrets that stand there for all to read."""
    return [
        key
        for key, value in said_in(document)
        if isinstance(value, str) and value and not passwords.is_hash(value)
    ]


def _understand(document: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    settings, findings = interpret(document)
    if findings.errors:
        raise ValueError("\n".join(findings.errors))
    return settings, findings.warnings


def _said(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What the file says itself, by key."""
    values = {}
    for key, item, _ in declared():
        table, dot, name = key.partition(".")
        said = document.get(table, {}) if dot else document
        if (name or table) in said:
            values[key] = getattr(settings, item.name)
    return values


def _write_over(file: SettingsFile, values: Mapping[str, Any], storages: Settings | None) -> None:
    from appliance.settings import document  # noqa: PLC0415 - large, and seldom needed

    plain = {key: value for key, value in values.items() if key not in SECRETS}
    file.set_secrets({key: values[key] for key in values if key in SECRETS})

    def change(text: str) -> str:
        text = document.with_values(text, plain)
        return text if storages is None else document.with_storages(text, storages.storages)

    try:
        file.edit(change)
    except ApplianceError as error:
        if not file.is_broken():
            raise
        # The settings themselves are: what a person writes on the card repairs them.
        log.warning("BOOT    %s", error)
        make_way(file.path)
        file.replace(change(examples.shipped()))


def _take_away(path: Path, data: bytes) -> tuple[bytes, list[str]]:
    """Take the secrets out of the file; what is in it then, and what could not be taken out."""
    lines = _decode(data).splitlines()
    kept = ["# a secret was taken over" if _SECRET_LINE.match(line) else line for line in lines]
    text = ("\r\n".join(kept) + "\r\n").encode()
    try:
        left = _secrets_in(_parse(text))
        write_atomically(path, text)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return data, [f"{key} stays in this file: {why}" for key in _secrets_in(_parse(data))]
    return text, [f"{key} stays in this file: write it in a line of its own" for key in left]


def _tell(path: Path, words: str) -> None:
    """Write what is wrong beside the file, as any PC shows it; nothing wrong, no file."""
    errors = path.with_name(ERRORS_NAME)
    for line in words.splitlines():
        log.warning("BOOT    %s: %s", path.name, line)
    try:
        if words:
            text = f"{path.name}:\n{words}\n".replace("\n", "\r\n")
            write_atomically(errors, text.encode())
        else:
            errors.unlink(missing_ok=True)
    except OSError as error:
        log.warning("BOOT    cannot write %s: %s", errors, error.strerror)
