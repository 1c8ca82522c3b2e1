# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over USB from a mounted FunctionFS: endpoint 0 and its events, around the conversation.

python-functionfs describes the function, reads endpoint 0 and opens the endpoint files. The bulk
transfers are ours (`functionfs_pipes`): its own reads have one size and repeat themselves, which
cannot end the data phase of a host that sends no zero-length packet.

The caller's thread serves endpoint 0 and is never kept waiting by a disk; a worker has the bulk
endpoints. Endpoint 0 itself waits only for the host, during a control transfer's data stage.
"""

import logging
import os
import select
import threading
from collections.abc import Callable
from contextlib import ExitStack
from errno import EIDRM
from pathlib import Path
from typing import Any, Self

from appliance import c_library
from appliance.errors import ApplianceError
from appliance.mtp.monitor import Road
from appliance.mtp.responder import Connection, Responder
from appliance.transports.functionfs_endpoint import BulkEndpoint
from appliance.transports.functionfs_events import EventPipe
from appliance.transports.functionfs_pipes import EndpointPipes
from appliance.transports.usb import Conversation
from appliance.transports.usb_class import (
    CANCEL_SIZE,
    ClassRequest,
    Setup,
    decode_cancel,
    encode_extended_event,
    encode_status,
)
from appliance.transports.usb_descriptors import (
    COMPATIBLE_ID,
    ENGLISH,
    EVENT_INTERVAL,
    EVENT_SIZE,
    INTERFACE_CLASS,
    INTERFACE_NAME,
)
from appliance.transports.usb_pipes import Cancelled, Reset

with c_library.at_hand():
    import functionfs
    from functionfs import ch9

log = logging.getLogger(__name__)

_BULK_IN, _BULK_OUT, _INTERRUPT_IN = 1, 2, 3
#: Packets that a super speed host may ask for at once, less one.
_BURST = 6
#: Seconds that the worker has to end.
_PATIENCE = 10.0


def descriptors() -> dict[str, Any]:
    """Describe the function for all speeds, and to Windows as what its MTP driver wants."""
    bulk = {"bmAttributes": ch9.USB_ENDPOINT_XFER_BULK}
    burst = {"bMaxBurst": _BURST}
    event = {
        "bEndpointAddress": ch9.USB_DIR_IN,
        "bmAttributes": ch9.USB_ENDPOINT_XFER_INT,
        "wMaxPacketSize": EVENT_SIZE,
        "bInterval": EVENT_INTERVAL,
    }
    names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    interface = {**dict(zip(names, INTERFACE_CLASS, strict=True)), "iInterface": 1}
    full, high, super_ = functionfs.getInterfaceInAllSpeeds(
        interface,
        [
            {"endpoint": {"bEndpointAddress": ch9.USB_DIR_IN, **bulk}, "superspeed": burst},
            {"endpoint": {"bEndpointAddress": ch9.USB_DIR_OUT, **bulk}, "superspeed": burst},
            {"endpoint": event, "superspeed": {"wBytesPerInterval": EVENT_SIZE}},
        ],
    )
    return {
        "fs_list": full,
        "hs_list": high,
        "ss_list": super_,
        "os_list": [functionfs.getOSDesc(0, [_compatible_id(COMPATIBLE_ID)])],
        "lang_dict": {ENGLISH: [INTERFACE_NAME]},
    }


def _compatible_id(name: bytes) -> Any:
    field = (functionfs.common.u8 * 8)(*name.ljust(8, b"\0"))
    return functionfs.OSExtCompatDesc(bFirstInterfaceNumber=0, Reserved1=1, CompatibleID=field)


class _Function(functionfs.Function):  # type: ignore[misc]
    """python-functionfs's function with its events passed on, and no transfers of its own.

    It wants one block for each OUT endpoint, which only its own `onEnable` would submit.
    """

    def __init__(self, mountpoint: Path, owner: "FunctionFsTransport") -> None:
        super().__init__(
            str(mountpoint),
            out_aio_blocks_per_endpoint=1,
            out_aio_blocks_max_packet_count=1,
            **descriptors(),
        )
        self._owner = owner

    def onBind(self) -> None:  # noqa: N802
        log.info("BIND")
        self._owner.bound()

    def onUnbind(self) -> None:  # noqa: N802
        log.info("UNBIND")
        self._owner.disabled()
        self._owner.unbound()

    def onEnable(self) -> None:  # noqa: N802
        self._owner.enabled()
        self.disableRemoteWakeup()

    def onDisable(self) -> None:  # noqa: N802
        self._owner.disabled()

    def onSuspend(self) -> None:  # noqa: N802
        self._owner.suspended(asleep=True)

    def onResume(self) -> None:  # noqa: N802
        self._owner.suspended(asleep=False)

    def onSetup(  # noqa: N802
        self, request_type: int, request: int, value: int, index: int, length: int
    ) -> None:
        setup = Setup(request_type, request, value, index, length)
        try:
            if not self._owner.setup(setup):
                super().onSetup(request_type, request, value, index, length)
        except OSError as error:  # the host began another control transfer, or is gone
            log.info("SETUP %s: %s", setup, error)


class FunctionFsTransport:
    """The MTP function on a mounted FunctionFS, from descriptors to the last byte.

    After `__enter__` the gadget may be bound to its UDC. `serve` returns after `stop`.
    """

    def __init__(self, mountpoint: Path, responder: Responder) -> None:
        self._connection: Connection = responder.connect("usb")
        self._monitor = responder.monitor
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._at_endpoint_0 = False
        self._function = _Function(mountpoint, self)
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            resources.enter_context(self._function)
            files = [self._function.getEndpoint(index) for index in range(4)]
            self._news = select.poll()
            self._news.register(self._function.eventfd, select.POLLIN)
            os.set_blocking(files[_INTERRUPT_IN].fileno(), False)
            self._events = EventPipe(files[_INTERRUPT_IN].fileno(), self._connection)
            resources.callback(self._events.close)
            self._connection.listen(self._events.send)
            resources.callback(self._connection.listen, None)
            self._pipes = EndpointPipes(
                BulkEndpoint(files[_BULK_IN]), BulkEndpoint(files[_BULK_OUT]), self._unread
            )
            self._worker = threading.Thread(target=self._work, name="usb", daemon=True)
            self._worker.start()
            resources.callback(self._end_worker)
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def stop(self) -> None:
        """Let `serve` return; from any thread or signal handler."""
        os.eventfd_write(self._stop, 1)

    @property
    def is_alive(self) -> bool:
        """Whether the worker has not ended."""
        return self._worker.is_alive()

    def serve(self, beat: Callable[[], float | None] = lambda: None) -> None:
        """Serve endpoint 0 until `stop`; everything else goes on in the worker.

        `beat` is called again and again; it says in how many seconds at the latest.
        """
        poll = select.poll()
        for source in (self._function.eventfd, self._events, self._stop):
            poll.register(source, select.POLLIN)
        while True:
            seconds = beat()
            happened = poll.poll(None if seconds is None else seconds * 1000)
            if self._stop in {fd for fd, _ in happened}:
                break
            self._process_events()
            self._events.pump(listening=self._connection.session_open)
        if not self._worker.is_alive():
            raise ApplianceError("the USB worker failed", hint="the log has the reason")

    def _process_events(self) -> None:
        self._at_endpoint_0 = True
        while self._at_endpoint_0:
            try:
                self._function.processEvents()
                self._at_endpoint_0 = False
            except OSError as error:
                if error.errno != EIDRM:  # EIDRM: the host gave up a control transfer
                    raise

    def _unread(self) -> bool:
        """Whether the kernel has events that `serve` is not done with; asked by the worker."""
        # Endpoint 0 itself must not be asked: it refuses (EAGAIN) what `serve` does meanwhile.
        return bool(self._news.poll(0)) or self._at_endpoint_0  # in this order

    def _work(self) -> None:
        try:
            Conversation(self._pipes, self._connection).run()
        finally:
            self.stop()

    def _end_worker(self) -> None:
        self._pipes.signals.close()
        self._worker.join(_PATIENCE)
        if self._worker.is_alive():
            log.warning("STUCK the worker still waits for a disk")
        else:
            self._pipes.close()

    # What endpoint 0 says

    def bound(self) -> None:
        """Note that the device is shown to a host, if one is there."""
        self._monitor.road(Road.SHOWN)

    def unbound(self) -> None:
        """Note that the device is not shown any more."""
        self._monitor.road(Road.HIDDEN)

    def enabled(self) -> None:
        """Note that a host has configured the device, perhaps again."""
        self._pipes.signals.enable()  # at once: the worker must not take this host for the last
        self._events.clear()
        log.info("ENABLE")
        self._monitor.road(Road.CONFIGURED)

    def disabled(self) -> None:
        """Note that the device was unplugged, reset or unbound."""
        self._pipes.signals.disable()
        self._events.clear()
        log.info("DISABLE")
        self._monitor.road(Road.SHOWN)

    def suspended(self, *, asleep: bool) -> None:
        """Note that the bus sleeps or is awake again; nothing is lost by it."""
        log.info("SUSPEND" if asleep else "RESUME")
        self._pipes.signals.suspended = asleep
        self._monitor.road(Road.ASLEEP if asleep else Road.CONFIGURED)

    def setup(self, setup: Setup) -> bool:
        """Answer a class request; False where it is none of ours."""
        match setup.class_request:
            case ClassRequest.CANCEL if setup.length == CANCEL_SIZE:
                self._cancel(self._function.ep0.read(CANCEL_SIZE))
            case ClassRequest.RESET:
                log.info("RESET")
                self._events.clear()
                self._pipes.signals.post(Reset())
                self._function.ep0.read(0)
            case ClassRequest.GET_DEVICE_STATUS:
                self._answer(setup, self._status())
            case ClassRequest.GET_EXTENDED_EVENT_DATA:
                self._answer(setup, encode_extended_event(self._events.last))
            case _:
                return False
        return True

    def _cancel(self, data: bytes) -> None:
        transaction_id = decode_cancel(data)
        if transaction_id is None:
            log.info("REFUSED cancel: %s", data.hex())
            return
        log.info("CANCEL transaction %d", transaction_id)
        self._pipes.signals.post(Cancelled(transaction_id))

    def _status(self) -> bytes:
        busy = self._connection.busy or self._pipes.signals.busy
        endpoints = (_BULK_IN, _BULK_OUT)
        halted = [index for index in endpoints if self._function.getEndpoint(index).isHalted()]
        real = [self._function.getEndpoint(index).getRealEndpointNumber() for index in halted]
        return encode_status(busy=busy, halted=real)

    def _answer(self, setup: Setup, data: bytes) -> None:
        self._function.ep0.write(data[: setup.length])
