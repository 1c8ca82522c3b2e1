# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder: requests in, replies out, for any number of initiators over one set of storages.

A transport calls `Responder.connect` for each initiator and then, for each operation request,
`Connection.execute`, which never raises for anything that an initiator or a file system can do.
"""

import logging

from appliance.mtp.audience import Audience, EventHandler, events_of, listing_anew
from appliance.mtp.codes import SENDS_DATA, DevicePropertyCode, EventCode, ResponseCode
from appliance.mtp.device import Device
from appliance.mtp.errors import MtpError
from appliance.mtp.monitor import NOBODY, Monitor, Visit
from appliance.mtp.operations import OPERATIONS, Context
from appliance.mtp.ports import Change, ObjectStore
from appliance.mtp.session import MAX_OWED, Phase, Session, Step
from appliance.mtp.transaction import Event, Look, Reply, Request, Sink

log = logging.getLogger(__name__)


class Responder:
    """What all connections share: the device, its storages, and who is told of changes."""

    def __init__(self, device: Device, store: ObjectStore, monitor: Monitor = NOBODY) -> None:
        self.device = device
        self.store = store
        self.monitor = monitor
        self._audience = Audience()
        store.listen(self.changed)

    def connect(self, peer: str, client: str = "") -> "Connection":
        """Begin to serve an initiator; `peer` names it in the log, `client` is its own name."""
        visit = Visit(self.monitor, peer, client)
        return Connection(Context(self.device, self.store, Session(), self._audience, visit), peer)

    def device_property_changed(self, code: DevicePropertyCode) -> None:
        """Tell all initiators that a device property has another value, not set by one of them."""
        self._audience.tell(Event(EventCode.DEVICE_PROP_CHANGED, (code,)))

    def device_info_changed(self) -> None:
        """Tell all initiators that GetDeviceInfo would answer otherwise than before."""
        self._audience.tell(Event(EventCode.DEVICE_INFO_CHANGED))

    def changed(self, change: Change) -> None:
        """Tell all initiators of a change that none of them has made; from any thread."""
        for event in events_of(change):
            self._audience.tell(event)


class Connection:
    """One initiator's way to the responder. Not for several threads at once, but for `busy`."""

    def __init__(self, context: Context, peer: str) -> None:
        self._context = context
        self._session = context.session
        self._visit = context.visit
        self._sink: GuardedSink | None = None
        self.peer = peer

    def listen(self, handler: EventHandler | None) -> None:
        """Give `handler` the events for this initiator, from any thread; None: nobody any more."""
        if handler is None:
            self._context.audience.leave(self._session)
        else:
            self._context.audience.join(self._session, handler)

    def attend(self, look: Look, heed: Look) -> None:
        """Let operations look after the initiator while they work, so that nothing is deaf.

        Both raise what ends the transaction, an error of the transport's, which then calls
        `abandon`. `look`: also because the initiator is gone, or is another one. `heed`: only
        because it has said so; asked before the last step of what is whole and may as well be kept.
        Neither is asked where data of the transaction is still to come.
        """
        self._session.look, self._session.heed = look, heed

    def listing_anew(self) -> list[Event]:
        """Give the events by which the initiator lists all storages anew; from any thread."""
        return listing_anew(self._context.store.storage_ids())

    @property
    def busy(self) -> bool:
        """Whether a transaction is under way (for GetDeviceStatus)."""
        return self._session.phase is not Phase.IDLE

    @property
    def session_open(self) -> bool:
        """Whether the initiator has opened a session."""
        return self._session.is_open

    def execute(self, request: Request, *, sends_data: bool | None = None) -> Reply | Sink:
        """Run an operation.

        A `Reply` is to be sent, its source first; then the transport calls `complete`. A `Sink`
        is for the data that the initiator sends; its `finish` gives the reply. Where either cannot
        be carried through, the transport calls `abandon`.

        `sends_data` is whether the initiator said that data follows; None where the transport has
        no word for that, then the operation's code decides.
        """
        self._session.advance(Step.REQUEST)
        self._session.owed.clear()
        if sends_data is None:
            sends_data = request.code in SENDS_DATA
        answer = self._run(request, sends_data=sends_data)
        self._tell()
        if sends_data:
            self._session.advance(Step.WANTS_DATA)
            self._sink = GuardedSink(answer, self, request)
            return self._sink
        reply = answer if isinstance(answer, Reply) else _without_data(answer)
        self._session.advance(Step.HAS_DATA if reply.source is not None else Step.REPLY)
        self._log(request, reply)
        return reply

    def complete(self) -> None:
        """Note that the response has been sent."""
        self._session.advance(Step.ANSWERED)

    def abandon(self) -> None:
        """Give up the transaction under way, if any: cancelled, or its initiator is gone.

        What it has done all the same its initiator is told, which will have no response to say so.
        """
        self._give_up()
        events, self._session.owed = self._session.owed, []
        for event in events if len(events) <= MAX_OWED else self.listing_anew():
            self._context.audience.tell_one(self._session, event)

    def close(self) -> None:
        """Give up the transaction under way and close the session; harmless when repeated."""
        self._give_up()
        self._session.close()
        self._tell()

    def _give_up(self) -> None:
        if self._sink is not None:
            self._sink.abort()
        self._visit.drop()
        self._session.advance(Step.ABANDON)

    def _tell(self) -> None:
        self._visit.update(is_open=self._session.is_open, name=self._session.client)

    def _run(self, request: Request, *, sends_data: bool) -> Reply | Sink:
        try:
            if sends_data and request.code in OPERATIONS and request.code not in SENDS_DATA:
                raise MtpError(ResponseCode.INVALID_PARAMETER, "data with an operation without")
            return self._dispatch(request)
        except MtpError as error:
            if error.detail:
                log.info("REFUSED %s %s: %s", self.peer, request.code.name, error)
            return Reply(error.code, error.parameters)

    def _dispatch(self, request: Request) -> Reply | Sink:
        operation = OPERATIONS.get(request.code)
        if operation is None or not operation.offered(self._context):
            raise MtpError(ResponseCode.OPERATION_NOT_SUPPORTED, str(request.code))
        if operation.needs_session and not self._session.is_open:
            raise MtpError(ResponseCode.SESSION_NOT_OPEN)
        if len(request.parameters) < operation.needs:
            detail = f"{len(request.parameters)} of {operation.needs} parameters"
            raise MtpError(ResponseCode.INVALID_PARAMETER, detail)
        if not operation.brings_content:
            self._session.conclude_empty_upload()
        return operation.run(self._context, request)

    def _cancel(self, request: Request) -> None:
        """Tell the initiator that what it sends cannot be taken; it may go on all the same."""
        event = Event(EventCode.CANCEL_TRANSACTION, (), request.transaction_id)
        self._context.audience.tell_one(self._session, event)

    def _received(self, request: Request, reply: Reply) -> None:
        self._sink = None
        self._session.advance(Step.DATA_COMPLETE)
        self._tell()
        self._log(request, reply)

    def _log(self, request: Request, reply: Reply) -> None:
        if log.isEnabledFor(logging.DEBUG):
            parameters = " ".join(f"{value:X}" for value in request.parameters)
            size = f" {reply.source.length} bytes" if reply.source is not None else ""
            log.debug(
                "%s %s(%s) -> %s%s",
                self.peer,
                request.code.name,
                parameters,
                reply.code.name,
                size,
            )


def _without_data(sink: Sink) -> Reply:
    """Reply to an operation that takes data, from an initiator that says it sends none."""
    sink.abort()
    return Reply(ResponseCode.INCOMPLETE_TRANSFER)


class GuardedSink:
    """The sink that transports see: drains what nobody wants, and turns errors into replies."""

    def __init__(self, target: Reply | Sink, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._sink: Sink | None = None
        self._reply: Reply | None = None
        if isinstance(target, Reply):
            self._reply = target
        else:
            self._sink = target

    @property
    def expected(self) -> int | None:
        """Bytes that the initiator announced, None where it did not say."""
        return self._sink.expected if self._sink is not None else None

    def write(self, data: memoryview) -> None:
        """Take data; after an error, and where nobody wants it, it is dropped."""
        if self._sink is None:
            return
        try:
            self._sink.write(data)
        except MtpError as error:
            self._fail(error)
            self._connection._cancel(self._request)

    def finish(self) -> Reply:
        """Say what becomes of the whole data."""
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                self._reply = sink.finish()
            except MtpError as error:
                sink.abort()
                self._fail(error)
            except BaseException:  # the transaction was ended, or it is a defect
                sink.abort()
                raise
        reply = self._reply or Reply(ResponseCode.GENERAL_ERROR)
        self._connection._received(self._request, reply)
        return reply

    def abort(self) -> None:
        """Forget what has come."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()

    def _fail(self, error: MtpError) -> None:
        log.info("REFUSED %s %s: %s", self._connection.peer, self._request.code.name, error)
        self._reply = Reply(error.code, error.parameters)
        self.abort()
