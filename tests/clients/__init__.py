# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that others wrote, used as their users use them."""
