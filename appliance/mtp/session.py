# SPDX-License-Identifier: GPL-3.0-or-later
"""One initiator's session, and the order in which its transactions go.

Rule 1: what may follow what stands in `TRANSITIONS`, and nowhere else.
Rule 2: a transaction is answered, cancelled or lost with its session; nothing else ends it.
Rule 3: an upload that a transaction announced belongs to the session and goes with it. It waits for
its content until another one is announced; an empty file waits for the next operation at most.
Rule 4: an edit that a transaction began belongs to the session, which ends it: what was written is
there, whole or not, as in any file that is changed in place. It is of one file, not of whatever its
handle comes to mean. Where that is another one or none by then, whoever did it, nothing is written
any more and the end says so, if anything was written before: InvalidObjectHandle. Who begins anew
has given up the old edit.
Rule 5: what a transaction has done is told to its initiator by the response, or else by events.

Spec: MTP 1.1 sections 4.2 (sessions), 4.3 (transactions).
"""

import logging
from collections.abc import Callable

from appliance.enums import IntEnum
from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Edit, Upload
from appliance.mtp.transaction import Event, Look, unattended
from appliance.values import dataclass

log = logging.getLogger(__name__)

#: Edits that one session may have begun and not ended. Each holds a descriptor, and all sessions
#: that the transports let in are to get by together with the 1,024 that a process commonly has.
MAX_EDITS = 16
#: Events that a transaction's own initiator may be owed; of more it is told to list all anew.
MAX_OWED = 1024


class Phase(IntEnum):
    """Where the transaction under way stands."""

    IDLE = 1
    OPERATION = 2
    DATA_IN = 3
    DATA_OUT = 4
    RESPONSE = 5


class Step(IntEnum):
    """What moves a transaction on."""

    REQUEST = 1
    HAS_DATA = 2
    WANTS_DATA = 3
    REPLY = 4
    DATA_COMPLETE = 5
    ANSWERED = 6
    ABANDON = 7


TRANSITIONS: dict[tuple[Phase, Step], Phase] = {
    (Phase.IDLE, Step.REQUEST): Phase.OPERATION,
    (Phase.OPERATION, Step.HAS_DATA): Phase.DATA_IN,
    (Phase.OPERATION, Step.WANTS_DATA): Phase.DATA_OUT,
    (Phase.OPERATION, Step.REPLY): Phase.RESPONSE,
    (Phase.DATA_OUT, Step.DATA_COMPLETE): Phase.RESPONSE,
    (Phase.DATA_IN, Step.ANSWERED): Phase.IDLE,
    (Phase.RESPONSE, Step.ANSWERED): Phase.IDLE,
    **{(phase, Step.ABANDON): Phase.IDLE for phase in Phase},
}


class OutOfOrderError(RuntimeError):
    """A transport went on in an order that no transaction has; a defect, not an input."""


@dataclass(slots=True)
class AnnouncedUpload:
    """What SendObjectInfo promised and SendObject is to bring.

    `announced` is the size in bytes; None where the initiator did not say one, and a value of the
    32-bit field of ObjectInfo may be the true size modulo 2^32. `arrived` is called when the object
    is there. `name` is the file's, "" for what is none.
    """

    upload: Upload
    announced: int | None
    storage_id: int = 0
    arrived: Callable[[], None] = lambda: None
    name: str = ""

    def commit(self, *, over: bool = True, heed: Look = unattended) -> None:
        """Make the object visible, and do what is to be done then; `over`, `heed`: as for it."""
        self.upload.commit(over=over, heed=heed)
        self.arrived()

    def matches(self, received: int) -> bool:
        """Whether `received` bytes can be what was announced.

        An announced 0 stands for "unknown" too: one client announces 4 GiB as 0. What is torn is
        seen in the transport all the same, which has a length of its own.
        """
        if not self.announced or received == self.announced:
            return True
        return self.announced < 1 << 32 and (received - self.announced) % (1 << 32) == 0

    def conclude(self) -> None:
        """End the announcement without a SendObject.

        Some clients send none for an empty file, which then is created; never over another one,
        be it one that has come since.
        """
        if self.announced == 0 and not self.upload.replaces:
            self.commit(over=False)
        else:
            self.upload.discard()


class Session:
    """The state that lasts from OpenSession to CloseSession, reset or unplugging."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.session_id = 0
        #: What the initiator says that it is, in this session.
        self.client = ""
        #: What long work asks; see `Connection.attend`.
        self.look: Look = unattended
        self.heed: Look = unattended
        #: What the transaction under way has told the others, and one more where it is too much.
        self.owed: list[Event] = []
        self._upload: AnnouncedUpload | None = None
        self._edits: dict[int, Edit] = {}

    @property
    def is_open(self) -> bool:
        """Whether OpenSession was answered with OK."""
        return self.session_id != 0

    def owe(self, event: Event) -> None:
        """Keep an event for this initiator, which is told of it if it gets no response."""
        if len(self.owed) <= MAX_OWED:
            self.owed.append(event)

    def advance(self, step: Step) -> None:
        """Go on to the next phase."""
        try:
            self.phase = TRANSITIONS[self.phase, step]
        except KeyError:
            raise OutOfOrderError(f"{step.name} in phase {self.phase.name}") from None

    def open(self, session_id: int) -> None:
        """Open the session; a responder of MTP has at most one a connection."""
        if session_id == 0:
            raise MtpError(ResponseCode.INVALID_PARAMETER, "session id 0")
        if self.is_open:
            raise MtpError(ResponseCode.SESSION_ALREADY_OPEN, parameters=(self.session_id,))
        self.session_id = session_id

    def close(self) -> MtpError | None:
        """Close the session if it is open, with what it left waiting.

        Gives what kept the first of the edits that was lost from being made durable, if any was.
        """
        self.session_id = 0
        self.client = ""
        self.conclude_upload()
        first = None
        for handle in list(self._edits):
            try:
                self.take_edit(handle).commit()
            except MtpError as error:
                log.warning("LOST    the end of an edit of object %X: %s", handle, error)
                first = first or error
        return first

    def announce(self, upload: AnnouncedUpload) -> None:
        """Keep an upload for the SendObject that is to come."""
        self.conclude_upload()
        self._upload = upload

    def take_upload(self) -> AnnouncedUpload:
        """Hand over the announced upload; NoValidObjectInfo where there is none."""
        if self._upload is None:
            raise MtpError(ResponseCode.NO_VALID_OBJECT_INFO)
        upload, self._upload = self._upload, None
        return upload

    def conclude_upload(self) -> None:
        """End an announcement that no SendObject followed; errors of it are nobody's business."""
        if self._upload is None:
            return
        upload, self._upload = self._upload, None
        try:
            upload.conclude()
        except MtpError:
            upload.upload.discard()

    def conclude_empty_upload(self) -> None:
        """End an announcement that may be all that is said of an empty file; others stay."""
        if self._upload is not None and self._upload.announced == 0:
            self.conclude_upload()

    def edit_of(self, handle: int) -> Edit | None:
        """Find the edit that BeginEditObject began and EndEditObject has not ended."""
        return self._edits.get(handle)

    def give_up_edit(self, handle: int) -> None:
        """End an edit of a file that is no more what its handle means."""
        try:
            self.take_edit(handle).commit()
        except MtpError as error:
            log.warning("LOST    what was written to object %X: %s", handle, error)

    def begin_edit(self, handle: int, edit: Edit) -> None:
        """Keep an edit; DeviceBusy where there are too many of what is still there."""
        if len(self._edits) >= MAX_EDITS:
            for void in [each for each, begun in self._edits.items() if not begun.holds()]:
                self.give_up_edit(void)
        if len(self._edits) >= MAX_EDITS:
            edit.commit()
            raise MtpError(ResponseCode.DEVICE_BUSY, f"{MAX_EDITS} edits have not been ended")
        self._edits[handle] = edit

    def take_edit(self, handle: int) -> Edit:
        """Hand over an edit to be ended; GeneralError where none was begun."""
        try:
            return self._edits.pop(handle)
        except KeyError:
            raise MtpError(ResponseCode.GENERAL_ERROR, f"no edit of {handle:X} was begun") from None
