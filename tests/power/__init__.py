# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts of the whole appliance: QEMU is killed, and its card loses what was not flushed."""
