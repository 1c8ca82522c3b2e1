#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What `make run` does once everything is set up: serves $FOLDER on this machine, at TCP port $PORT, and
# beside it the settings page at $WEB_PORT. What the page changes is kept in .make/served, folder by folder.
set -eu
cd "$(dirname "$0")/.."

if [ "$FOLDER" = share ] && [ ! -e share ]; then
    mkdir share
    cat >share/Welcome.txt <<'END'
This file lies in the folder `share`, which your computer serves over MTP.
What you put into the folder is seen by whoever looks at the device,
and what they put there turns up here.
END
fi

if [ -x .venv/bin/mtp-appliance ]; then
    python=.venv/bin/python
else
    python=${PYTHON:-python3}
fi
if [ ! -d "$FOLDER" ]; then
    printf '%s\n' "$FOLDER is no folder" >&2
    exit 1
fi
place=$(cd "$FOLDER" && pwd)
kept=.make/served/$(printf %s "$place" | cksum | cut -d ' ' -f 1)
settings=$kept/settings.toml
if [ ! -e "$settings" ]; then
    mkdir -p "$kept"
    printf '[[storages]]\npath = "%s"\n' "$(printf %s "$place" | sed 's/[\\"]/\\&/g')" >"$settings"
fi

"$python" -m appliance serve --settings "$settings" --state-dir "$kept" --listen "127.0.0.1:$PORT" &
responder=$!
page=
if "$python" -c 'import flask, flask_babel, waitress' 2>/dev/null; then
    "$python" -m appliance web --settings "$settings" --status "$kept/status.json" \
        --state-dir "$kept/page" --listen "127.0.0.1:$WEB_PORT" &
    page=$!
else
    echo "Without the settings page, which needs Flask, Flask-Babel and waitress." >&2
fi

# Ctrl-C goes to both of them by itself. Whatever ends the responder ends the page.
trap : INT
trap 'kill "$responder"' TERM
status=0
while kill -0 "$responder" 2>/dev/null; do
    status=0
    wait "$responder" || status=$?
done
if [ -n "$page" ]; then
    kill "$page" 2>/dev/null || true
    wait "$page" || true
fi
exit "$status"
