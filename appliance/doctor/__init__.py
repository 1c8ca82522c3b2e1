# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the machine that the appliance runs on: what is well, what is not, what to do."""
