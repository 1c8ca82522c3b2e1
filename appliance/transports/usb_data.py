# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving data: into buffers for the host, and what the host sends into a sink."""

from appliance.mtp.codes import ResponseCode
from appliance.mtp.containers import DataPhase, Progress
from appliance.mtp.errors import MtpError
from appliance.mtp.transaction import Look, Reply, Sink, Source
from appliance.transports.usb_pipes import BulkPipes

#: Seconds of silence after which data that may be whole is whole, although no short packet came.
SETTLE = 0.1


def receive(pipes: BulkPipes, phase: DataPhase, sink: Sink) -> Progress:
    """Move a data phase into `sink`; how it ended. ContainerError where something else came first.

    Reads are posted ahead, so that disk and bus work at the same time.
    """
    progress = Progress.MORE
    while progress in {Progress.MORE, Progress.PAUSED}:
        _read_ahead(pipes, phase)
        transfer = pipes.take()
        if transfer is not None:
            payload, progress = phase.feed(transfer.data, transfer.asked)
            if progress is Progress.MORE:
                _read_ahead(pipes, phase)
            if payload:
                sink.write(payload)
        elif not pipes.wait(SETTLE if progress is Progress.PAUSED else None):
            progress = phase.settle()
    return progress


def _read_ahead(pipes: BulkPipes, phase: DataPhase) -> None:
    """Post reads up to where the data may be over."""
    while pipes.can_post:
        size = phase.next_read(pipes.largest, pipes.posted)
        if not size:
            return
        pipes.post(size)


def fill(source: Source, view: memoryview, look: Look) -> tuple[int, Reply | None]:
    """Fill `view` from a source; how many bytes came, and what to reply where not all did.

    A source that gives little at a time may be slow: after each little `look` is asked.
    """
    filled = 0
    try:
        while filled < len(view):
            if filled:
                look()
            count = source.read_into(view[filled:])
            if not count:
                return filled, Reply(ResponseCode.INCOMPLETE_TRANSFER)
            filled += count
    except MtpError as error:
        return filled, Reply(error.code, error.parameters)
    return filled, None
