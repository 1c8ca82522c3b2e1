# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSession, CloseSession, ResetDevice (MTP 1.1 appendix D.2.2, D.2.3, D.2.16)."""

from appliance.mtp.operations.context import Context
from appliance.mtp.transaction import Reply, Request


def open_session(context: Context, request: Request) -> Reply:
    """Open the session with the id in parameter 1."""
    context.session.open(request.parameter(0))
    return Reply()


def close_session(context: Context, request: Request) -> Reply:
    """Close the session; one client sends a parameter with it, which means nothing."""
    return _close(context)


def reset_device(context: Context, request: Request) -> Reply:
    """Return to the state before OpenSession. Other initiators' sessions are theirs."""
    return _close(context)


def _close(context: Context) -> Reply:
    """Close the session, whatever becomes of its edits; says so where one could not be kept."""
    error = context.session.close()
    return Reply() if error is None else Reply(error.code, error.parameters)
