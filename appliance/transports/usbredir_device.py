# SPDX-License-Identifier: GPL-3.0-or-later
"""A redirected device as a state machine: packets in, packets out. No sockets, clocks or threads.

Both sides begin by a hello, the guest first: one that was migrated here has had ours from another
machine, and QEMU does not survive another one. Then the device is plugged in: its endpoints, its
interface, and itself.
What is to be sent is gathered in `out`; whoever has the socket empties it.

Spec: usbredir-protocol.txt, version 0.7 (freedesktop.org, spice/usbredir).
"""

import logging
import struct
from collections import deque
from collections.abc import Callable, Iterable

from appliance.transports import usb_descriptors as usb
from appliance.transports.usb_class import Setup
from appliance.transports.usbredir_bulk import BulkIn, BulkOut, Part
from appliance.transports.usbredir_codec import Codec, encode_hello
from appliance.transports.usbredir_control import Endpoint0, Function
from appliance.transports.usbredir_packets import (
    Endpoint,
    Packet,
    PacketError,
    PacketType,
    Speed,
    Status,
    TransferType,
    decode_bulk,
    decode_control,
    decode_hello,
    decode_start_bulk,
    fields_of_device_connect,
    fields_of_ep_info,
    fields_of_interface_info,
)

log = logging.getLogger(__name__)

_ENDPOINTS = (
    Endpoint(usb.BULK_IN, TransferType.BULK, usb.BULK_SIZE),
    Endpoint(usb.BULK_OUT, TransferType.BULK, usb.BULK_SIZE),
    Endpoint(usb.INTERRUPT_IN, TransferType.INTERRUPT, usb.EVENT_SIZE, usb.EVENT_INTERVAL),
)


class RedirectedDevice:
    """One guest's device.

    `enabled` and `disabled` are called when the guest configures it, or does so no longer.
    """

    def __init__(
        self,
        description: usb.Description,
        function: Function,
        enabled: Callable[[], None],
        disabled: Callable[[], None],
    ) -> None:
        self._description = description
        self._enabled, self._disabled = enabled, disabled
        self._endpoint_0 = Endpoint0(description, function)
        self._configuration = 0
        self._events_sent = 0
        #: Whether the guest knows of the device: it has said hello, or something else.
        self.is_connected = False
        self.codec = Codec()
        self.bulk_in = BulkIn(self.codec, usb.BULK_SIZE)
        self.bulk_out = BulkOut(self.codec, usb.BULK_SIZE)
        #: Whether the guest wants to have events.
        self.listens = False
        #: What the peer calls itself.
        self.program = ""
        self.out: deque[Part] = deque()
        self._actions: dict[PacketType, Callable[[Packet], None]] = {
            PacketType.HELLO: self._hello,
            PacketType.RESET: self._reset,
            PacketType.SET_CONFIGURATION: self._set_configuration,
            PacketType.GET_CONFIGURATION: self._get_configuration,
            PacketType.SET_ALT_SETTING: self._set_alt_setting,
            PacketType.GET_ALT_SETTING: self._get_alt_setting,
            PacketType.START_ISO_STREAM: self._refuse_iso,
            PacketType.STOP_ISO_STREAM: self._refuse_iso,
            PacketType.START_INTERRUPT_RECEIVING: self._start_interrupts,
            PacketType.STOP_INTERRUPT_RECEIVING: self._stop_interrupts,
            PacketType.ALLOC_BULK_STREAMS: self._refuse_streams,
            PacketType.FREE_BULK_STREAMS: self._refuse_streams,
            PacketType.CANCEL_DATA_PACKET: self._cancel,
            PacketType.FILTER_REJECT: self._rejected,
            PacketType.FILTER_FILTER: self._filter,
            PacketType.DEVICE_DISCONNECT_ACK: self._disconnect_acknowledged,
            PacketType.START_BULK_RECEIVING: self._start_bulk,
            PacketType.STOP_BULK_RECEIVING: self._stop_bulk,
            PacketType.CONTROL_PACKET: self._control,
            PacketType.BULK_PACKET: self._bulk,
            PacketType.ISO_PACKET: self._refuse_data,
            PacketType.INTERRUPT_PACKET: self._refuse_data,
        }

    def received(self, count: int) -> None:
        """Act on `count` bytes that were put into `codec.space()`; raises PacketError."""
        for packet in self.codec.received(count):
            if self.codec.resumed and not self.is_connected:
                self._plug_again()
            self._actions[packet.type](packet)

    def gather(self) -> None:
        """Put into `out` what the guest can be told now."""
        if self.bulk_out.unanswered:
            self.out.extend(self.bulk_out.answers())
        if self.bulk_in.can_answer:
            self.out.extend(self.bulk_in.answers())

    def send_event(self, container: bytes) -> None:
        """Put an event into `out`."""
        self._events_sent += 1
        number = self._events_sent
        self.out.append(self.codec.encode_interrupt(number, usb.INTERRUPT_IN, container))

    # Plugging in

    def _hello(self, packet: Packet) -> None:
        if self.is_connected:
            raise PacketError("a second hello")
        self.program, theirs = decode_hello(packet)
        self.out.append(encode_hello("mtp-appliance"))
        self.codec.agree(theirs)
        self._connect()

    def _plug_again(self) -> None:
        """Take the device out and put it in, for a guest that has come here from another machine.

        What it had with the device was lost with the connection on that machine.
        """
        self.program = "a guest that was migrated"
        log.info("MIGRATED a guest has come from another machine; its device is plugged in anew")
        self._say(PacketType.DEVICE_DISCONNECT)
        self._connect()

    def _disconnect_acknowledged(self, _packet: Packet) -> None:
        """Pass over it: the order of packets says as much."""

    def _connect(self) -> None:
        self.is_connected = True
        self._describe()
        who, common = self._description, self.codec.common
        fields = fields_of_device_connect(
            Speed.HIGH, who.vendor_id, who.product_id, who.release, common
        )
        self._say(PacketType.DEVICE_CONNECT, 0, fields)

    def _describe(self) -> None:
        self._say(PacketType.EP_INFO, 0, fields_of_ep_info(_ENDPOINTS, self.codec.common))
        self._say(PacketType.INTERFACE_INFO, 0, fields_of_interface_info(usb.INTERFACE_CLASS))

    def _rejected(self, _packet: Packet) -> None:
        log.warning("REJECTED the guest's filter does not let a device of this kind in")
        self._leave(0)

    def _filter(self, _packet: Packet) -> None:
        """Pass over the filter: the guest holds it itself."""

    def _reset(self, _packet: Packet) -> None:
        self._leave(0)

    def _leave(self, configuration: int) -> None:
        """Be over with a connection of the guest's, if there was one."""
        was, self._configuration = self._configuration, configuration
        self._endpoint_0.halted.clear()
        self.listens = False
        self._answer_all(self.bulk_out.clear())
        self._answer_all(self.bulk_in.clear())
        if was or configuration:
            (self._enabled if configuration else self._disabled)()

    def _set_configuration(self, packet: Packet) -> None:
        wanted = packet.fields[0]
        known = wanted in (0, usb.CONFIGURATION)
        if known:
            self._leave(wanted)
            self._describe()
        self._tell_configuration(packet, Status.SUCCESS if known else Status.STALL)

    def _get_configuration(self, packet: Packet) -> None:
        self._tell_configuration(packet, Status.SUCCESS)

    def _tell_configuration(self, packet: Packet, status: Status) -> None:
        fields = bytes([status, self._configuration])
        self._say(PacketType.CONFIGURATION_STATUS, packet.id, fields)

    def _set_alt_setting(self, packet: Packet) -> None:
        known = packet.fields == b"\0\0" and self._configuration
        if known:
            self._leave(self._configuration)
            self._describe()
        self._tell_alt_setting(packet, Status.SUCCESS if known else Status.STALL)

    def _get_alt_setting(self, packet: Packet) -> None:
        known = packet.fields == b"\0" and self._configuration
        self._tell_alt_setting(packet, Status.SUCCESS if known else Status.STALL)

    def _tell_alt_setting(self, packet: Packet, status: Status) -> None:
        fields = bytes([status, packet.fields[0], 0])
        self._say(PacketType.ALT_SETTING_STATUS, packet.id, fields)

    # Transfers

    def _control(self, packet: Packet) -> None:
        control = decode_control(packet)
        setup = Setup(
            control.request_type, control.request, control.value, control.index, control.length
        )
        answer = self._endpoint_0.answer(setup, bytes(packet.data))
        status = Status.STALL if answer is None else Status.SUCCESS
        self.out.append(self.codec.encode_control(packet.id, control, status, answer or b""))

    def _bulk(self, packet: Packet) -> None:
        bulk = decode_bulk(packet)
        status = self._refusal(bulk.endpoint)
        if status is not None:
            self.out.append(self.codec.encode_bulk(packet.id, bulk, status, 0, 0))
        elif bulk.endpoint == usb.BULK_IN:
            self.bulk_in.ask(packet.id, bulk)
        else:
            self.bulk_out.arrive(packet.id, bulk, packet.data, self.bulk_in.segments)

    def _refusal(self, endpoint: int) -> Status | None:
        """Say why nothing can go over an endpoint, None where it can."""
        if endpoint not in (usb.BULK_IN, usb.BULK_OUT):
            return Status.INVALID
        if not self._configuration:
            return Status.IO_ERROR
        return Status.STALL if endpoint in self._endpoint_0.halted else None

    def _cancel(self, packet: Packet) -> None:
        answers = (self.bulk_in.cancel(packet.id), self.bulk_out.cancel(packet.id))
        self._answer_all(each for each in answers if each is not None)

    def _start_interrupts(self, packet: Packet) -> None:
        known = packet.fields[0] == usb.INTERRUPT_IN and bool(self._configuration)
        self.listens = self.listens or known
        self._tell_interrupts(packet, Status.SUCCESS if known else Status.STALL)

    def _stop_interrupts(self, packet: Packet) -> None:
        self.listens = False
        self._tell_interrupts(packet, Status.SUCCESS)

    def _tell_interrupts(self, packet: Packet, status: Status) -> None:
        fields = bytes([status, packet.fields[0]])
        self._say(PacketType.INTERRUPT_RECEIVING_STATUS, packet.id, fields)

    def _start_bulk(self, packet: Packet) -> None:
        endpoint, stream, size = decode_start_bulk(packet)
        status = self._refusal(endpoint)
        if status is None:
            fits = endpoint == usb.BULK_IN and self.bulk_in.can_stream(size)
            status = Status.SUCCESS if fits else Status.INVALID
        if status is Status.SUCCESS:
            self.bulk_in.stream(size, stream)
        self._tell_bulk(packet, stream, endpoint, status)

    def _stop_bulk(self, packet: Packet) -> None:
        stream, endpoint = struct.unpack("<IB", packet.fields)
        if endpoint == usb.BULK_IN:
            self.bulk_in.stop_stream()
        self._tell_bulk(packet, stream, endpoint, Status.SUCCESS)

    def _tell_bulk(self, packet: Packet, stream: int, endpoint: int, status: Status) -> None:
        fields = struct.pack("<IBB", stream, endpoint, status)
        self._say(PacketType.BULK_RECEIVING_STATUS, packet.id, fields)

    # What this device does not have

    def _refuse_iso(self, packet: Packet) -> None:
        fields = bytes([Status.INVALID, packet.fields[0]])
        self._say(PacketType.ISO_STREAM_STATUS, packet.id, fields)

    def _refuse_streams(self, packet: Packet) -> None:
        endpoints = packet.fields[:4]
        fields = endpoints + struct.pack("<IB", 0, Status.INVALID)
        self._say(PacketType.BULK_STREAMS_STATUS, packet.id, fields)

    def _refuse_data(self, packet: Packet) -> None:
        fields = struct.pack("<BBH", packet.fields[0], Status.INVALID, 0)
        self._say(packet.type, packet.id, fields)

    def _answer_all(self, answers: Iterable[bytes]) -> None:
        self.out.extend(answers)

    def _say(self, kind: PacketType, number: int = 0, fields: bytes = b"") -> None:
        self.out.append(self.codec.encode(kind, number, fields))
