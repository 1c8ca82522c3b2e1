# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings page: what a person opens at http://NAME.local over the cable."""

from webui.app import create_app

__all__ = ["create_app"]
