# SPDX-License-Identifier: GPL-3.0-or-later
"""The lights: what they say, and how they are lit."""
