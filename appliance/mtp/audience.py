# SPDX-License-Identifier: GPL-3.0-or-later
"""Events: what becomes of a change, and who is told of it.

| change         | events                                            |
|----------------|---------------------------------------------------|
| ADDED          | ObjectAdded                                       |
| REMOVED        | ObjectRemoved                                     |
| CONTENT, PLACE | ObjectInfoChanged, then ObjectRemoved, ObjectAdded |
| STORAGE_ADDED  | StoreAdded                                        |
| STORAGE_REMOVED| StoreRemoved                                      |
| STORAGE_INFO   | StorageInfoChanged                                |

What happens on the device gives an object another handle in the third row; what a session does
leaves it as it is. A widespread client knows no ObjectInfoChanged, and believes what it was told of
a handle as long as the device is connected: it sees the new size or name only under a new handle.

Spec: MTP 1.1 section 4.8 and appendix G.
"""

from collections.abc import Callable, Iterable

from appliance.mtp.codes import EventCode
from appliance.mtp.ports import Change, ChangeKind
from appliance.mtp.session import Session
from appliance.mtp.transaction import Event

EventHandler = Callable[[Event], None]

_ANEW = (EventCode.OBJECT_INFO_CHANGED, EventCode.OBJECT_REMOVED, EventCode.OBJECT_ADDED)
_EVENTS: dict[ChangeKind, tuple[EventCode, ...]] = {
    ChangeKind.ADDED: (EventCode.OBJECT_ADDED,),
    ChangeKind.REMOVED: (EventCode.OBJECT_REMOVED,),
    ChangeKind.CONTENT: _ANEW,
    ChangeKind.PLACE: _ANEW,
    ChangeKind.STORAGE_ADDED: (EventCode.STORE_ADDED,),
    ChangeKind.STORAGE_REMOVED: (EventCode.STORE_REMOVED,),
    ChangeKind.STORAGE_INFO: (EventCode.STORAGE_INFO_CHANGED,),
}

_OF_WHAT_IS_NOW = {EventCode.OBJECT_ADDED}

#: What is seen by listing anew, and a transaction's end, which its response says too.
_OF_LISTINGS = {
    EventCode.CANCEL_TRANSACTION,
    EventCode.OBJECT_ADDED,
    EventCode.OBJECT_REMOVED,
    EventCode.OBJECT_INFO_CHANGED,
    EventCode.STORE_FULL,
    EventCode.STORAGE_INFO_CHANGED,
    EventCode.OBJECT_PROP_CHANGED,
    EventCode.OBJECT_REFERENCES_CHANGED,
}

#: All events that an initiator may hear of; DeviceInfo lists them.
EVENTS = (
    EventCode.CANCEL_TRANSACTION,
    EventCode.OBJECT_ADDED,
    EventCode.OBJECT_REMOVED,
    EventCode.STORE_ADDED,
    EventCode.STORE_REMOVED,
    EventCode.DEVICE_PROP_CHANGED,
    EventCode.OBJECT_INFO_CHANGED,
    EventCode.DEVICE_INFO_CHANGED,
    EventCode.STORE_FULL,
    EventCode.STORAGE_INFO_CHANGED,
    EventCode.OBJECT_PROP_CHANGED,
    EventCode.OBJECT_REFERENCES_CHANGED,
)


def events_of(change: Change) -> list[Event]:
    """Put a change into the protocol's words."""
    return [
        Event(code, (change.now if change.now and code in _OF_WHAT_IS_NOW else change.number,))
        for code in _EVENTS[change.kind]
    ]


def listing_anew(storage_ids: Iterable[int]) -> list[Event]:
    """Say that an initiator is to list storages anew, whatever it knows of them.

    There is UnreportedStatus for that, but clients pass over it; a storage that comes they list.
    """
    codes = (EventCode.STORE_REMOVED, EventCode.STORE_ADDED)
    return [Event(code, (storage_id,)) for storage_id in storage_ids for code in codes]


def in_short(events: Iterable[Event]) -> list[Event]:
    """Leave out what an initiator finds when it lists all anew, and what is said again later."""
    lasting = [event for event in events if event.code not in _OF_LISTINGS]
    return list(reversed(dict.fromkeys(reversed(lasting))))


class Audience:
    """The sessions that want to hear of events; for any thread.

    A handler must not wait: it puts the event into a queue of its own.
    """

    def __init__(self) -> None:
        self._handlers: dict[Session, EventHandler] = {}

    def join(self, session: Session, handler: EventHandler) -> None:
        """Tell `handler` from now on what happens while the session is open."""
        self._handlers[session] = handler

    def leave(self, session: Session) -> None:
        """Tell it no more; harmless when repeated."""
        self._handlers.pop(session, None)

    def tell(self, event: Event, *, except_for: Session | None = None) -> None:
        """Tell all, but for the session whose own doing it is."""
        for session, handler in list(self._handlers.items()):
            if session is not except_for and session.is_open:
                handler(event)

    def tell_one(self, session: Session, event: Event) -> None:
        """Tell one session alone."""
        handler = self._handlers.get(session)
        if handler is not None and session.is_open:
            handler(event)
