# SPDX-License-Identifier: GPL-3.0-or-later
"""Harnesses that look for what nobody thought of: for as long as they are told, or shortly."""
