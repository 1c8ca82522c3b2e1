#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# udhcpc's script for the PC: does with a lease what a desktop does, and believes a router or a resolver
# in it. (Debian's own also empties the resolver's file where the lease names none.)
# shellcheck disable=SC2154  # the lease is in the environment
case $1 in
    deconfig)
        ip -4 address flush dev "$interface"
        ;;
    bound | renew)
        ip address replace "$ip/$mask" dev "$interface"
        [ -z "${router-}" ] || ip route replace default via "${router%% *}" dev "$interface"
        [ -z "${dns-}" ] || printf 'nameserver %s\n' "$dns" >/etc/resolv.conf
        ;;
esac
