#!/bin/bash -e
# SPDX-License-Identifier: GPL-3.0-or-later
# No EXPORT_IMAGE: pi-gen's own export makes two partitions, writable, through a loop device. What leaves this
# stage is the root file system, of which `make image BASE=` makes the same image as of Debian's.
mkdir -p "${DEPLOY_DIR}"
# What on_chroot has mounted is not part of it.
tar -C "${ROOTFS_DIR}" --one-file-system --numeric-owner --sort=name --xattrs-include=security.capability \
    -cf "${DEPLOY_DIR}/mtp-appliance-root.tar.new" .
mv "${DEPLOY_DIR}/mtp-appliance-root.tar.new" "${DEPLOY_DIR}/mtp-appliance-root.tar"
