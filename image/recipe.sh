#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What makes a root file system into the appliance, whichever base it is of:
#   MTP_APPLIANCE_BOARD=zero sh image/recipe.sh ROOT
# The packages of packages.txt are in it already. Runs as root, on a system that can be entered (by
# qemu-user on another processor). $MTP_APPLIANCE_PACKAGES: where the Python packages that Debian lacks lie
# unpacked, else pip fetches them, by their hashes. $MTP_APPLIANCE_KEY: the public key whose updates are
# taken (docs/updates.md); without one none are.
set -eu
root=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
board=${MTP_APPLIANCE_BOARD:?}
[ "$root" != / ] || { echo "recipe.sh: not this machine" >&2; exit 1; }

install_appliance() {
    set -- "$root"
    [ -z "${MTP_APPLIANCE_PACKAGES-}" ] || set -- --packages "$MTP_APPLIANCE_PACKAGES" "$@"
    [ -z "${MTP_APPLIANCE_KEY-}" ] || set -- --key "$MTP_APPLIANCE_KEY" "$@"
    sh "$here/../overlay/install.sh" "$@"
    # Readable by all, whatever the umask here.
    tar -C "$here/root" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . | tar -C "$root" --no-overwrite-dir -xpf -
    echo "$board" >"$root/usr/lib/mtp-appliance/board"
    SYSTEMD_OFFLINE=1 chroot "$root" systemctl preset --quiet \
        mtp-appliance-grow.service mtp-appliance-card-log.timer systemd-resolved.service
}

# Nobody logs in: no passwords, no users of a person's.
lock_users() {
    sed -i 's/^root:[^:]*:/root:!*:/' "$root/etc/shadow"
    # shellcheck disable=SC2013  # names of users are words
    for name in $(awk -F: '$3 >= 1000 && $3 < 60000 {print $1}' "$root/etc/passwd"); do
        chroot "$root" userdel -r "$name" 2>/dev/null || true
    done
    # Nor when a password was changed, or the image of another day would be another one.
    sed -i 's/^\([^:]*:[^:]*\):[0-9]*:/\1::/' "$root/etc/shadow"
}

# Of a card that nobody updates package by package, and that starts and stops with a cable.
mask_units() {
    for unit in getty.target console-getty.service systemd-firstboot.service systemd-pstore.service \
        systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
        dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-hwdb-update.service \
        systemd-update-done.service systemd-journal-catalog-update.service \
        ldconfig.service e2scrub_all.timer e2scrub_reap.service fstrim.timer apt-daily.timer \
        apt-daily-upgrade.timer dpkg-db-backup.timer systemd-growfs-root.service systemd-remount-fs.service \
        wpa_supplicant.service systemd-logind.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
}

# Where the start mounts things (initrd/init). The share's own place cannot be served while nothing is mounted there.
make_places() {
    mkdir -p "$root/boot/firmware" "$root/srv/share" "$root/var/lib/mtp-appliance-card"
    chown 0:0 "$root/srv/share"
    chmod 0000 "$root/srv/share"
    rm -rf "$root/var/lib/mtp-appliance-settings"
    cp -a "$root/etc/mtp-appliance" "$root/var/lib/mtp-appliance-settings"
    chroot "$root" chown -R mtp-appliance:mtp-appliance /var/lib/mtp-appliance-settings
    chmod 0640 "$root/var/lib/mtp-appliance-settings/settings.toml"
    chroot "$root" install -d -o mtp-appliance -g mtp-appliance -m 0700 /var/lib/mtp-appliance
    install -d -m 2755 "$root/var/log/journal"
    printf 'uninitialized\n' >"$root/etc/machine-id"
    rm -f "$root/var/lib/dbus/machine-id"
    ln -s /etc/machine-id "$root/var/lib/dbus/machine-id"
    ln -sfn ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
    rm -f "$root/etc/.resolv.conf.systemd-resolved.bak" # the building machine's
    echo mtp-appliance >"$root/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\tmtp-appliance\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
    : >"$root/etc/fstab"
}

# For the list of packages: what is installed. Beside it lies what Debian's base has unpacked only (unpack-kernel.sh);
# of the other base it is nothing.
note_packages() {
    mkdir -p "$root/usr/share/mtp-appliance"
    cp "$root/var/lib/dpkg/status" "$root/usr/share/mtp-appliance/dpkg-status"
    : >>"$root/usr/share/mtp-appliance/unpacked"
}

# What only a system that is updated in place needs, and what nobody reads on it.
remove_ballast() {
    rm -rf "$root/var/lib/dpkg" "$root/var/lib/apt" "$root/var/cache" "$root/var/log/"*.log \
        "$root/var/backups" "$root/var/lib/systemd/deb-systemd-helper-"* "$root/etc/apt" "$root/boot/System.map"* \
        "$root/boot/config-"* "$root/usr/share/doc/"*/changelog* "$root/usr/share/info" "$root/usr/share/lintian" \
        "$root/usr/share/bug" "$root/usr/share/man" "$root/usr/share/pixmaps" "$root/usr/share/i18n" \
        "$root/usr/lib/python3."*/test "$root/usr/lib/python3."*/idlelib "$root/usr/lib/python3."*/ensurepip \
        "$root/usr/lib/python3."*/lib2to3 "$root/usr/lib/python3."*/pydoc_data "$root/etc/initramfs" "$root/etc/kernel" "$root/etc/default/raspi-firmware" "$root/root/".[!.]*
    mkdir -p "$root/var/cache"
    find "$root/tmp" "$root/run" "$root/dev" "$root/var/tmp" -mindepth 1 -xdev -delete 2>/dev/null || true
    for name in passwd group shadow gshadow subuid subgid; do rm -f "$root/etc/$name-"; done
}

install_appliance
lock_users
mask_units
make_places
note_packages
remove_ballast
