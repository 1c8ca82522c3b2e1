# SPDX-License-Identifier: GPL-3.0-or-later
"""The USB gadget: what it is made of, how the kernel is told, and which controller it is on."""
