#!/bin/bash -e
# SPDX-License-Identifier: GPL-3.0-or-later
# pi-gen's own beginning of a stage: what the stage before has made, copied.
if [ ! -d "${ROOTFS_DIR}" ]; then
    copy_previous
fi
