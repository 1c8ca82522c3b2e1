#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The virtual Pi as the appliance: installs the overlay as an image has it, then becomes systemd. The host's
# command runs in it as a service, which nothing of the appliance knows of.
set -eu
# What goes wrong here is said where the host looks for it.
exec >/run/host/output 2>&1
cd /project
chmod 755 /run
rm -f /etc/systemd/system-preset/00-none.preset
[ -s /etc/machine-id ] && [ "$(cat /etc/machine-id)" != uninitialized ] ||
    echo 0123456789abcdef0123456789abcdef >/etc/machine-id
echo virtual-pi >/etc/hostname
sh overlay/install.sh --packages /usr/local/lib/python3.13/dist-packages /
# What is of the project comes from the overlay alone.
rm -rf /usr/local/lib/python3.13/dist-packages/functionfs /usr/local/lib/python3.13/dist-packages/libaio \
    /usr/local/lib/python3.13/dist-packages/ioctl_opt
# This board's controller, which a Raspberry Pi has by its device tree.
echo dummy_hcd >/etc/modules-load.d/virtual-pi.conf
echo "options dummy_hcd is_high_speed=1 is_super_speed=0" >/etc/modprobe.d/virtual-pi.conf

# A second disk is the card: what an appliance keeps lies on it.
if [ -b /dev/vdb ]; then
    mkdir -p /card
    mount -t ext4 /dev/vdb /card
    for place in /srv/share /etc/mtp-appliance /var/lib/mtp-appliance /var/lib/mtp-appliance-secrets; do
        mkdir -p "/card/kept$place" "$place"
        [ "$place" != /etc/mtp-appliance ] || cp -n "$place"/* "/card/kept$place/"
        mount --bind "/card/kept$place" "$place"
    done
fi

cat >/etc/systemd/system/virtual-pi.service <<'END'
[Unit]
Description=What the host wants done
DefaultDependencies=no
After=local-fs.target

[Service]
Type=exec
Environment=HOME=/root LANG=C.UTF-8 MTP_APPLIANCE_GUEST=/run/host
WorkingDirectory=/project
ExecStart=/bin/sh tests/vm/work.sh
TimeoutStartSec=infinity
OOMScoreAdjust=-1000

END
cat >/etc/systemd/system/virtual-pi-shell.service <<'END'
[Unit]
Description=A shell for the host
Conflicts=serial-getty@ttyS0.service

[Service]
Environment=HOME=/root LANG=C.UTF-8
WorkingDirectory=/project
ExecStart=/bin/bash -i
ExecStopPost=/bin/systemctl poweroff --force --force
StandardInput=tty-force
TTYPath=/dev/ttyS0
END
export SYSTEMD_OFFLINE=1
if [ -e /run/host/shell ]; then work=virtual-pi-shell; else work=virtual-pi; fi
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf "/etc/systemd/system/$work.service" /etc/systemd/system/multi-user.target.wants/
ln -sf /usr/lib/systemd/system/multi-user.target /etc/systemd/system/default.target
systemctl mask --quiet serial-getty@ttyS0.service getty@tty1.service systemd-firstboot.service \
    systemd-networkd-wait-online.service systemd-pcrphase.service
unset SYSTEMD_OFFLINE
exec /usr/lib/systemd/systemd </dev/null >/dev/console 2>&1
