# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status says, in the sentences of the page's language."""

from collections.abc import Iterable

from appliance.leds.patterns import Pattern, select
from appliance.status import Cable, Direction, Outcome, Session, Status, Transfer
from webui.languages import gettext, lazy_gettext
from webui.words import duration, rate, size

_CABLES = {
    Cable.NOT_USED: lazy_gettext("Waiting for a PC"),
    Cable.NO_CONTROLLER: lazy_gettext("This machine cannot be a USB device"),
    Cable.UNBOUND: lazy_gettext("Not shown to the PC"),
    Cable.DETACHED: lazy_gettext("Waiting for a PC"),
    Cable.ATTACHED: lazy_gettext("A PC is at the cable"),
    Cable.CONFIGURED: lazy_gettext("Connected to a PC"),
    Cable.SUSPENDED: lazy_gettext("The PC sleeps, or the cable is out"),
}
_ROADS = {
    "usb": lazy_gettext("over the USB cable"),
    "usbredir": lazy_gettext("in a virtual machine"),
    "ptpip": lazy_gettext("over the network"),
}
_STATES = {
    "in": lazy_gettext("in use"),
    "ejected": lazy_gettext("ejected"),
    "locked": lazy_gettext("ejected"),
    "missing": lazy_gettext("missing"),
}
_OUTCOMES = {
    Outcome.WHOLE: lazy_gettext("whole"),
    Outcome.PART: lazy_gettext("a part of it"),
    Outcome.BROKEN_OFF: lazy_gettext("broken off"),
}
_CONCERNS = {
    "storage-full": lazy_gettext("A storage is full"),
    "storage-nearly-full": lazy_gettext("A storage is nearly full"),
    "storage-missing": lazy_gettext("The folder of a storage is gone"),
    "storage-failed": lazy_gettext("A folder cannot be served"),
    "address-failed": lazy_gettext("An address of the settings cannot be used"),
    "storage-errors": lazy_gettext("The card, or a disk, has errors"),
    "state-full": lazy_gettext("There is no room left for settings"),
    "unwatched": lazy_gettext("Some changes are seen late"),
    "settings-errors": lazy_gettext("The settings file has errors"),
    "no-controller": lazy_gettext("There is no USB device controller"),
    "controller-taken": lazy_gettext("Another program uses the USB device controller"),
    "not-shown": lazy_gettext("The PC is not shown the device"),
    "clock-not-set": lazy_gettext("The clock has not been set"),
    "unit-failed": lazy_gettext("A part of the appliance has failed"),
    "update-taken-back": lazy_gettext("A new version did not work, and was taken back"),
    "wifi-not-joined": lazy_gettext("The Wi-Fi has not been joined"),
    "wifi-missing": lazy_gettext("There is no Wi-Fi here"),
    "card-settings": lazy_gettext("The settings on the card do not count"),
    "card-not-in-force": lazy_gettext("A setting could not be put into force"),
    "card-board": lazy_gettext("This card is for another board"),
    "card-small": lazy_gettext("The card is too small"),
    "card-state": lazy_gettext("Settings cannot be kept on the card"),
    "card-share": lazy_gettext("Nothing can be written to the card, or its files cannot be read"),
    "card-boot": lazy_gettext("A part of the card cannot be read"),
    "card": lazy_gettext("Something is wrong with the card, the board or a setting"),
}
_GRADES = {
    "good": lazy_gettext("Well"),
    "note": lazy_gettext("To know"),
    "unknown": lazy_gettext("Not seen"),
    "warning": lazy_gettext("To be seen to"),
    "problem": lazy_gettext("Wrong"),
}
#: What an owner can do who has nothing but this page, the card and a PC.
_LOOK = lazy_gettext(
    "The log has the reason, under Maintenance. To start the services anew there may help."
)
_SAVE = lazy_gettext("Copy your files to the PC, then use another card.")
_REPLUG = lazy_gettext("Take the cable out, wait for a moment, and put it in again.")
_WRITE = lazy_gettext("Save the files, then write the image to the card again.")
_ADVICE = {
    "storage-full": lazy_gettext("Delete something, or empty what was deleted, under Storage."),
    "storage-nearly-full": lazy_gettext("Make room before it is full."),
    "storage-missing": lazy_gettext("Bring its disk back, or take it out under Storage."),
    "storage-errors": _SAVE,
    "address-failed": lazy_gettext("Change it under Settings; until then it is tried again."),
    "settings-errors": lazy_gettext(
        "Undo the last change under Settings, or take over a backup under Maintenance."
    ),
    "state-full": _REPLUG,
    "no-controller": lazy_gettext("Its image may be for another board, or its start was changed."),
    "controller-taken": _REPLUG,
    "not-shown": _REPLUG,
    "unit-failed": _LOOK,
    "unwatched": lazy_gettext("On the PC, load the folder anew to see them."),
    "update-taken-back": lazy_gettext("Get a later update, or tell who made this one."),
    "wifi-not-joined": lazy_gettext(
        "Is the network in reach, and are its name and passphrase right? See Settings, and the"
        " Wi-Fi in the log."
    ),
    "wifi-missing": lazy_gettext(
        "A Zero without a W has none. Let the Wi-Fi network be empty, under Settings."
    ),
    "clock-not-set": lazy_gettext("Set it under Maintenance."),
    "card-settings": lazy_gettext("Correct the file on the card at a PC, or delete it there."),
    "card-not-in-force": lazy_gettext("Correct it under Settings. It is tried again then."),
    "card-board": lazy_gettext("Use the image that is for this board."),
    "card-small": lazy_gettext("Use a larger card."),
    "card-state": _WRITE,
    "card-share": _SAVE,
    "card-boot": _WRITE,
}


def pattern_of(status: Status | None, failures: Iterable[str] = ()) -> Pattern:
    """Choose what the light shows; `failures` are what has failed."""
    return select(status, failures)


def headline(status: Status | None) -> str:
    """Say in a few words what goes on."""
    if status is None:
        return gettext("The appliance is not running")
    if not status.ready:
        return gettext("It is starting")
    directions = {each.direction for each in status.transfers}
    if len(directions) > 1:
        return gettext("Moving files to and from the PC")
    if directions:
        sends = Direction.IN in directions
        return gettext("Sending to the PC") if sends else gettext("Receiving from the PC")
    if status.ejected:
        return gettext("Ejected")
    if status.sessions and status.usb.cable in {Cable.NOT_USED, Cable.DETACHED, Cable.UNBOUND}:
        return gettext("Connected to a PC")
    return str(_CABLES[status.usb.cable])


def is_safe(status: Status | None) -> bool:
    """Whether nothing is lost if the cable is pulled now."""
    return status is None or not (status.transfers or status.unsafe.files)


def safety(status: Status | None) -> str:
    """Say whether it may be unplugged."""
    if is_safe(status):
        return gettext("Safe to unplug")
    return gettext("Do not unplug now")


def who(session: Session, now: float) -> str:
    """Say who is connected, and how."""
    name = session.client or gettext("A program")
    road = _ROADS.get(session.road, session.road)
    since = duration(now - session.since)
    if session.peer:
        return gettext(
            "%(name)s from %(peer)s %(road)s, for %(since)s",
            name=name,
            peer=session.peer,
            road=road,
            since=since,
        )
    return gettext("%(name)s %(road)s, for %(since)s", name=name, road=road, since=since)


def progress(transfer: Transfer) -> str:
    """Say how far a transfer is, how fast, and how long it takes yet."""
    parts = [size(transfer.done)]
    if transfer.total:
        done, total = size(transfer.done), size(transfer.total)
        parts = [gettext("%(done)s of %(total)s", done=done, total=total)]
    if transfer.rate:
        parts.append(rate(transfer.rate))
        if transfer.total and transfer.done < transfer.total:
            left = duration((transfer.total - transfer.done) / transfer.rate)
            parts.append(gettext("%(time)s left", time=left))
    return ", ".join(parts)


def outcome(ended: Outcome) -> str:
    """Say how a transfer ended."""
    return str(_OUTCOMES[ended])


def state_of(word: str) -> str:
    """Say the state of a storage."""
    return str(_STATES.get(word, word))


def stays_read_only(names: Iterable[str]) -> str:
    """Say of storages that they cannot be changed although a person allows it."""
    return gettext(
        "This stays read-only, for its disk or its permissions allow no changes: %(names)s",
        names=", ".join(names),
    )


def concern(code: str) -> str:
    """Say in general what a warning is about; its own words are the responder's."""
    known = _CONCERNS.get("card" if code.startswith("card-") and code not in _CONCERNS else code)
    return str(known or gettext("Something is to be seen to"))


def grade(word: str) -> str:
    """Say how bad a finding of the doctor's is."""
    return str(_GRADES.get(word, word))


def advice(code: str, *, is_appliance: bool) -> str:
    """Say what helps an owner who has the page and the card, "" where the responder says it best.

    What the responder says is for who can log in; on a machine of one's own it is all that counts.
    """
    return str(_ADVICE.get(code, "")) if is_appliance else ""
