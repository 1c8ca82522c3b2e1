# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that an initiator is told: a response code."""

from appliance.mtp.codes import ResponseCode


class MtpError(Exception):
    """An operation that ends with a response code other than OK.

    `parameters` go into the response where the specification has some for that code;
    `detail` is for the log only.
    """

    def __init__(
        self, code: ResponseCode, detail: str = "", *, parameters: tuple[int, ...] = ()
    ) -> None:
        super().__init__(f"{code.name}: {detail}" if detail else code.name)
        self.code = code
        self.parameters = parameters
        self.detail = detail
