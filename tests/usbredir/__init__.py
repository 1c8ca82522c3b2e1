# SPDX-License-Identifier: GPL-3.0-or-later
"""The device in virtual machines, two at once, reset and migrated: from the host."""
