#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What `make run` does once everything is set up: serves $FOLDER on this machine, at TCP port $PORT.
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
    set -- .venv/bin/mtp-appliance
else
    set -- "${PYTHON:-python3}" -m appliance
fi
exec "$@" serve "$FOLDER" --listen "127.0.0.1:$PORT"
