# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual Pi: a Debian guest in QEMU that is device and PC in one (see README.md)."""
