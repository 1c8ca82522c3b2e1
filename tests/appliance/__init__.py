# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole appliance in the virtual Pi: what systemd boots, seen from the PC at its cable."""
