#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# PID 1 of the virtual Pi: as little as a USB device and its PC need, then the host's command.
# As the appliance, it leaves the rest to systemd (appliance.sh).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export MTP_APPLIANCE_GUEST=/run/host
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run/host /project
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/host
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 run /run/host
# The host's tree is read only; what is written here, such as bytecode, stays here.
mkdir -p /run/tree /run/upper /run/work
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose project /run/tree
mount -t overlay -o lowerdir=/run/tree,upperdir=/run/upper,workdir=/run/work project /project
mount -o remount,rw /
case " $(cat /proc/cmdline) " in
    *" virtual-pi=appliance "*) exec sh /project/tests/vm/appliance.sh ;;
esac
hostname virtual-pi
ip link set lo up
/usr/lib/systemd/systemd-udevd --daemon
modprobe -a dummy_hcd libcomposite usb_f_fs fuse
mount -t configfs configfs /sys/kernel/config 2>/dev/null
udevadm trigger --type=subsystems
udevadm trigger --subsystem-match=usb
cd /project || exit 1
if [ -e /run/host/shell ]; then
    sh tests/vm/plugged.sh
    setsid --ctty --wait bash -i </dev/ttyS0 >/dev/ttyS0 2>&1
else
    exec sh tests/vm/work.sh
fi
sync
echo o >/proc/sysrq-trigger
sleep 60
