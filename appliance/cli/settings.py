# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `settings`: the settings file, read and written without an editor."""

import argparse
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import Any

from appliance import places
from appliance.cli.output import print_json, print_table
from appliance.errors import ApplianceError, ExitStatus
from appliance.settings import examples, passwords, values
from appliance.settings.differences import Difference, differences, secret, show, told
from appliance.settings.schema import Settings, declared, declared_of_storages
from appliance.settings.secret_files import HIDDEN, SECRETS
from appliance.settings.store import SettingsFile, understand
from appliance.settings.takeover import adopt, return_to, take_as_it_is

_HELP = """\
A change is written into the settings file, where comments stay, and takes
effect by itself. Storages have a command of their own: mtp-appliance storage.

examples:
  mtp-appliance settings show
  mtp-appliance settings set leds.pins 17,27
  mtp-appliance settings export > backup.toml
  mtp-appliance settings import backup.toml

exit status: 1 what is in the file is wrong, or nothing was done; 2 called
wrongly; 4 only root may do that
"""


_NOT_FOR_YOU = ApplianceError(
    "the secrets are not for this user", hint="use sudo", status=ExitStatus.NEEDS_ROOT
)


def describe(parser: argparse.ArgumentParser) -> None:
    """Describe `settings`."""
    parser.epilog = _HELP
    verbs = parser.add_subparsers(metavar="WHAT", dest="verb", required=True)
    _add(verbs, "show", _show, "show all settings", json=True)
    get = _add(verbs, "get", _get, "say the value of one", json=True)
    get.add_argument("key", metavar="KEY")
    change = _add(verbs, "set", _set, "change one", json=True)
    change.add_argument("key", metavar="KEY")
    change.add_argument("value", metavar="VALUE", help="lists with commas; true or false")
    unset = _add(verbs, "unset", _unset, "let the default hold", json=True)
    unset.add_argument("key", metavar="KEY")
    reset = _add(verbs, "reset", _reset, "return to those of a new appliance", json=True)
    export = _add(verbs, "export", _export, "write all of them to standard output", json=True)
    export.add_argument("--with-secrets", action="store_true", help="passphrase and hash too")
    take = _add(
        verbs, "import", _import, "take others over, after showing what would change", json=True
    )
    take.add_argument("source", metavar="FILE", help="- for standard input")
    undo = _add(verbs, "undo", _undo, "return to what was before the last change", json=True)
    undo.add_argument("--state-dir", type=Path, default=places.STATE, metavar="DIR",
                      help="where the service keeps what it needs for that")  # fmt: skip
    for each in (reset, take, undo):
        each.add_argument("--yes", action="store_true", help="do not ask")
        each.add_argument("--dry-run", action="store_true", help="only show what would change")
    check = _add(verbs, "check", _check, "say what is wrong in the file", json=True)
    check.add_argument("source", metavar="FILE", nargs="?", help="another file than the usual one")
    _add(verbs, "password", _password, "choose the password of the settings page")
    _add(verbs, "passphrase", _passphrase, "say the passphrase of the Wi-Fi network")


def _add(
    verbs: Any, name: str, act: Any, what: str, *, json: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=f"{what}.")
    parser.set_defaults(act=act)
    parser.add_argument("--file", type=Path, default=places.SETTINGS, help="another settings file")
    if json:
        parser.add_argument("--json", action="store_true", help="say it as JSON")
    return parser


def _file(arguments: argparse.Namespace) -> SettingsFile:
    keep = arguments.state_dir if "state_dir" in arguments else places.STATE
    return SettingsFile(arguments.file, keep, keeps=False)


def _read(arguments: argparse.Namespace) -> Settings:
    """Read what is in the file; what is wrong with it is said, and its defaults are shown."""
    settings, findings = _file(arguments).understood()
    for error in findings.errors:
        print(f"mtp-appliance: {arguments.file}: {error}", file=sys.stderr)
    return settings


def _show(arguments: argparse.Namespace) -> None:
    settings = _read(arguments)
    if arguments.json:
        print_json(_as_json(settings))
        return
    rows = []
    for key, item, setting in declared():
        value = getattr(settings, item.name)
        told = secret(value) if setting.secret else show(value)
        rows.append((key, told, show(item.default), setting.label))
    for number, storage in enumerate(settings.storages, 1):
        for key, item, setting in declared_of_storages():
            value = str(getattr(storage, item.name)) if key == "path" else getattr(storage, key)
            rows.append((f"storages[{number}].{key}", show(value), "", setting.label))
    print_table(("SETTING", "VALUE", "DEFAULT", "WHAT IT IS"), rows)


def _as_json(settings: Settings, *, secrets: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, item, setting in declared():
        value = getattr(settings, item.name)
        if setting.secret and not secrets:
            value = bool(value)
        shown[key] = value
    shown["storages"] = [
        {key: _plain(getattr(each, item.name)) for key, item, _ in declared_of_storages()}
        for each in settings.storages
    ]
    return shown


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _get(arguments: argparse.Namespace) -> None:
    item, setting = values.find(arguments.key)
    value = getattr(_read(arguments), item.name)
    if setting.secret:
        value = secret(value)
    if arguments.json:
        print_json(value)
    elif isinstance(value, tuple):
        print(",".join(map(str, value)))
    else:
        print(value if isinstance(value, str) else show(value))


def _set(arguments: argparse.Namespace) -> None:
    _, setting = values.find(arguments.key)
    if setting.secret:
        word = arguments.key.rpartition(".")[2]
        hint = f"so that it is not shown: mtp-appliance settings {word}"
        raise ApplianceError(f"{arguments.key} is no text to type here", hint=hint)
    _write(arguments, {arguments.key: values.parse(arguments.key, arguments.value)})


def _write(arguments: argparse.Namespace, wanted: dict[str, Any]) -> None:
    file = _file(arguments)
    before, _ = file.understood()
    _tell(arguments, differences(before, file.set(wanted)))


def _unset(arguments: argparse.Namespace) -> None:
    values.find(arguments.key)
    file = _file(arguments)
    before, _ = file.understood()
    _tell(arguments, differences(before, file.unset(arguments.key)))


def _tell(arguments: argparse.Namespace, changes: Sequence[Difference]) -> None:
    if getattr(arguments, "json", False):
        print_json(told(changes))
        return
    for each in changes:
        print(f"{each}, {each.effect.value}")
    if not changes:
        print("nothing changes")


def _reset(arguments: argparse.Namespace) -> None:
    _replace(arguments, examples.shipped())


def _import(arguments: argparse.Namespace) -> None:
    _replace(arguments, _source(arguments.source))


def _undo(arguments: argparse.Namespace) -> None:
    _replace(arguments, _file(arguments).before())


def _source(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(name).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ApplianceError(f"{name}: {words}") from None


def _replace(arguments: argparse.Namespace, text: str) -> None:
    """Show what is different, ask, and write."""
    file = _file(arguments)
    before = file.understood()[0] if arguments.file.exists() else Settings()
    take = {"import": adopt, "undo": return_to}.get(arguments.verb, take_as_it_is)
    adopted = take(before, text)
    for warning in adopted.warnings:
        print(f"mtp-appliance: {warning}", file=sys.stderr)
    changes = differences(before, adopted.settings)
    mends = file.is_broken()
    if mends:
        print(f"mtp-appliance: {arguments.file} has errors, and is replaced", file=sys.stderr)
    if changes or not mends or arguments.json:
        _tell(arguments, changes)
    if arguments.dry_run or not (changes or mends):
        return
    if not arguments.yes and not _agreed():
        raise ApplianceError("nothing was changed", hint="--yes does not ask")
    if arguments.verb == "reset":
        file.forget_secrets()
    file.replace(adopted.text)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Change that? [y/N] ").strip().lower() in ("y", "yes")


def _export(arguments: argparse.Namespace) -> None:
    settings = _read(arguments)
    if arguments.with_secrets and HIDDEN in (
        getattr(settings, item.name) for item, _ in SECRETS.values()
    ):
        raise _NOT_FOR_YOU
    if arguments.json:
        print_json(_as_json(settings, secrets=arguments.with_secrets))
    else:
        print(examples.of(settings, secrets=arguments.with_secrets), end="")


def _check(arguments: argparse.Namespace) -> None:
    name = arguments.source or str(arguments.file)
    if arguments.source:
        _, findings = understand(_source(name))
    else:
        _, findings = _file(arguments).understood()
    if arguments.json:
        print_json({"errors": findings.errors, "warnings": findings.warnings})
    else:
        for error in findings.errors:
            print(f"error: {error}")
        for warning in findings.warnings:
            print(f"warning: {warning}")
    if findings.errors:
        raise ApplianceError(f"{name} does not count as it is", hint="what counted last serves")
    if not arguments.json and not findings.warnings:
        print(f"{name} is good")


def _password(arguments: argparse.Namespace) -> None:
    password = _ask_twice() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    complaint = passwords.complaint(password)
    if complaint:
        raise ApplianceError(f"the password {complaint}", status=ExitStatus.USAGE)
    _write(arguments, {"web.password": passwords.hash_password(password)})


def _passphrase(arguments: argparse.Namespace) -> None:
    key = "wifi.passphrase"
    text = _ask_twice("Passphrase: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    _write(arguments, {key: values.parse(key, text)})


def _ask_twice(prompt: str = "New password: ") -> str:
    password = getpass(prompt)
    if getpass("Once more: ") != password:
        raise ApplianceError("the two are not the same", hint="nothing was changed")
    return password
