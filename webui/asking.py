# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that asks once more before something is done that a person may not want."""

from collections.abc import Mapping

from flask import render_template, url_for


def confirm(
    heading: str,
    text: str,
    label: str,
    *,
    action: str,
    back: str,
    fields: Mapping[str, str] | None = None,
    what: str = "",
    word: str = "",
    error: str = "",
) -> str:
    """Ask; `label` is on the button to `action`, `word` has to be typed, `what` is a name."""
    return render_template(
        "confirm.html",
        heading=heading,
        text=text,
        label=label,
        action=url_for(action),
        back=url_for(back),
        fields=fields or {},
        what=what,
        word=word,
        error=error,
    )
