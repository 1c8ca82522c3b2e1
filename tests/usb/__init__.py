# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw USB client against the real responder, on the guest's virtual cable."""
