# SPDX-License-Identifier: GPL-3.0-or-later
"""Asynchronous requests to endpoint files: buffers that are reused, sizes that are exact.

A small layer over python-libaio's adaptation of libaio.h. A request keeps its control block and its
buffer; aiming it writes a few numbers, and one system call submits any count of requests. Errors of
the kernel come with the completion, also where it refused a request at once.
"""

import ctypes
import mmap
import os
from collections.abc import Sequence
from errno import EINPROGRESS, EINVAL
from typing import Any

from appliance import c_library

with c_library.at_hand():
    from libaio import libaio as kernel

_NOW = kernel.timespec(0, 0)


class AioRequest:
    """One request with a page-aligned buffer of `capacity` bytes.

    `result` is how many bytes were transferred, or a negative errno. `uncollected` is the pipes'
    note of what was still under way to the host when it was done.
    """

    __slots__ = (
        *("_address", "_block", "_memory", "asked", "busy", "pointer", "result", "uncollected"),
        "view",
    )

    def __init__(self, capacity: int, *, to_host: bool) -> None:
        self._memory = mmap.mmap(-1, capacity)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.view = memoryview(self._memory)
        self.asked = 0
        self.result = 0
        self.uncollected = 0
        self.busy = False
        self._block: Any = kernel.iocb()
        self._block.aio_lio_opcode = kernel.IO_CMD_PWRITE if to_host else kernel.IO_CMD_PREAD
        self._block.u.c.flags = kernel.IOCB_FLAG_RESFD
        self.pointer: Any = ctypes.pointer(self._block)

    @property
    def reason(self) -> str:
        """Why it failed."""
        return os.strerror(-self.result)

    def aim(self, fd: int, size: int, *, eventfd: int, start: int = 0) -> None:
        """Prepare to transfer `size` bytes of the buffer; `eventfd` counts its completion."""
        self._block.aio_fildes = fd
        control = self._block.u.c
        control.buf = self._address + start
        control.nbytes = size
        control.resfd = eventfd
        self.asked = size

    def number(self, key: int) -> None:
        """Set what the kernel says in the completion to name this request."""
        self._block.data = key


class AioQueue:
    """The kernel's queue for a fixed set of requests. Not for several threads at once."""

    def __init__(self, requests: Sequence[AioRequest]) -> None:
        self._requests = dict(enumerate(requests, start=1))
        for key, request in self._requests.items():
            request.number(key)
        depth = len(requests)
        self._events: Any = (kernel.io_event * depth)()
        self._pointers: Any = (kernel.iocb_p * depth)()
        self._context: Any = kernel.io_context_t()
        kernel.io_queue_init(depth, ctypes.byref(self._context))

    def submit(self, requests: Sequence[AioRequest]) -> None:
        """Hand requests to the kernel, in this order."""
        done = 0
        while done < len(requests):
            rest = requests[done:]
            for index, request in enumerate(rest):
                self._pointers[index] = request.pointer
                request.busy = True
            try:
                done += kernel.io_submit(self._context, len(rest), self._pointers)
            except OSError:
                for request in rest:
                    request.busy = False
                raise

    def completed(self) -> list[AioRequest]:
        """Collect what is done, in the order in which it was; never waits."""
        events = self._events
        count = kernel.io_getevents(self._context, 0, len(events), events, ctypes.byref(_NOW))
        done = []
        for index in range(count):
            event = events[index]
            request = self._requests[event.data]
            request.result = event.res
            request.busy = False
            done.append(request)
        return done

    def cancel(self, request: AioRequest) -> None:
        """Ask for the end of a request; its completion comes as that of the others."""
        event = kernel.io_event()
        try:
            kernel.io_cancel(self._context, request.pointer, ctypes.byref(event))
        except OSError as error:
            if error.errno not in {EINPROGRESS, EINVAL}:
                raise

    def close(self) -> None:
        """Cancel everything, wait for its end and forget the queue."""
        if self._context:
            kernel.io_queue_release(self._context)
            self._context = None
