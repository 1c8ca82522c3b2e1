#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# In the virtual Pi: starts the appliance on the virtual cable and says what can be tried.
mkdir -p /root/share/Docs
echo "Hello from the virtual Pi" >/root/share/hello.txt
echo "A file in a folder" >/root/share/Docs/inside.txt
python3 -m appliance serve --usb "Card=/root/share" -v >/root/responder.log 2>&1 &
for _ in $(seq 300); do
    if lsusb -d 1d6b:0104 >/dev/null 2>&1; then
        udevadm settle
        cat <<'END'

This is the virtual Pi, and the PC that it is plugged into. It serves /root/share; its log is
/root/responder.log, the project is /project. To look at the device as a PC does, try:
  mtp-detect                 mtp-filetree
  gphoto2 --list-files       aft-mtp-cli ls
  mkdir -p /mnt/m; jmtpfs /mnt/m; ls -R /mnt/m
`exit` switches it off; where it hangs, Ctrl-A X does.

END
        exit 0
    fi
    sleep 0.2
done
echo "The device did not appear on the bus; its log says:"
cat /root/responder.log
exit 1
