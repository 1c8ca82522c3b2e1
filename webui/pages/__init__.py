# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages, each a blueprint."""

from webui.pages import access, help, home, logs, maintenance, settings, storage, update

BLUEPRINTS = tuple(
    each.page for each in (home, settings, storage, maintenance, logs, update, help, access)
)
