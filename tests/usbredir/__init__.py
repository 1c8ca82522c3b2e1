# SPDX-License-Identifier: GPL-3.0-or-later
"""The device in virtual machines that are reset, killed, unplugged and migrated: from the host."""
