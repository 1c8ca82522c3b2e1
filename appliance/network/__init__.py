# SPDX-License-Identifier: GPL-3.0-or-later
"""The network on the USB cable: addresses, and what systemd-networkd is told of it."""
