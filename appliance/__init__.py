# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP Appliance: a folder as an MTP device, over USB and over PTP/IP."""

__version__ = "0.1.0"
