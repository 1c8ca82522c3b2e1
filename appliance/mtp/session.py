# SPDX-License-Identifier: GPL-3.0-or-later
"""One initiator's session, and the order in which its transactions go.

Rule 1: what may follow what stands in `TRANSITIONS`, and nowhere else.
Rule 2: a transaction is answered, cancelled or lost with its session; nothing else ends it.
Rule 3: an upload that a transaction announced belongs to the session and goes with it.

Spec: MTP 1.1 sections 4.2 (sessions), 4.3 (transactions).
"""

from dataclasses import dataclass
from enum import Enum, auto

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.mtp.ports import Upload


class Phase(Enum):
    """Where the transaction under way stands."""

    IDLE = auto()
    OPERATION = auto()
    DATA_IN = auto()
    DATA_OUT = auto()
    RESPONSE = auto()


class Step(Enum):
    """What moves a transaction on."""

    REQUEST = auto()
    HAS_DATA = auto()
    WANTS_DATA = auto()
    REPLY = auto()
    DATA_COMPLETE = auto()
    ANSWERED = auto()
    ABANDON = auto()


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
    32-bit field of ObjectInfo may be the true size modulo 2^32.
    """

    upload: Upload
    announced: int | None

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

        Some clients send none for an empty file, which then is created; never over another one.
        """
        if self.announced == 0 and not self.upload.replaces:
            self.upload.commit()
        else:
            self.upload.discard()


class Session:
    """The state that lasts from OpenSession to CloseSession, reset or unplugging."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.session_id = 0
        self._upload: AnnouncedUpload | None = None

    @property
    def is_open(self) -> bool:
        """Whether OpenSession was answered with OK."""
        return self.session_id != 0

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

    def close(self) -> None:
        """Close the session if it is open, with what it left waiting."""
        self.session_id = 0
        self.conclude_upload()

    def announce(self, upload: AnnouncedUpload) -> None:
        """Keep an upload for the SendObject that follows."""
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
