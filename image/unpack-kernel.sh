#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# For mmdebstrap, as a customize hook: unpack-kernel.sh ROOT KERNEL PACKAGE...
# KERNEL is a kernel's package, or a metapackage that depends on one.
# Unpacks the kernel and the packages into ROOT without installing them: their scripts would make an initial RAM
# disk and fill a boot partition of their own. What was unpacked is noted for the list of packages.
set -eu
root=$1 wanted=$2
shift 2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case $wanted in
    linux-image-[0-9]*) kernel=$wanted ;;
    *) kernel=$(apt-cache depends "$wanted" | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1) ;;
esac
[ -n "$kernel" ] || { echo "unpack-kernel.sh: $wanted names no kernel" >&2; exit 1; }
apt-get -qq -o APT::Sandbox::User=root download "$kernel" "$@"
mkdir -p "$root/usr/share/mtp-appliance"
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -C "$root" --keep-directory-symlink -xpf -
    # shellcheck disable=SC2016  # dpkg-deb's own names
    dpkg-deb --show --showformat='Package: ${Package}\nStatus: install ok unpacked\nArchitecture: ${Architecture}\nSource: ${source:Package}\nVersion: ${Version}\n\n' \
        "$package" >>"$root/usr/share/mtp-appliance/unpacked"
done
