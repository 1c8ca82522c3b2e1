# SPDX-License-Identifier: GPL-3.0-or-later
"""An endpoint file of FunctionFS, as far as the pipes use it."""

import os
from typing import Any


class BulkEndpoint:
    """What `EndpointPipes` asks of an endpoint file of python-functionfs."""

    def __init__(self, file: Any) -> None:
        self._file = file
        os.set_blocking(file.fileno(), False)

    def fileno(self) -> int:
        """File descriptor, non-blocking: a request to a disabled endpoint fails at once."""
        return int(self._file.fileno())

    def max_packet_size(self) -> int:
        """wMaxPacketSize at the speed of this connection; OSError where there is none."""
        return int(self._file.getDescriptor().wMaxPacketSize)

    def flush(self) -> None:
        """Empty the hardware's FIFO; OSError where it has none or is disabled."""
        self._file.flushFIFO()
