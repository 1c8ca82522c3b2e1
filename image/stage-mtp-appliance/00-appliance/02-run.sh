#!/bin/bash -e
# SPDX-License-Identifier: GPL-3.0-or-later
# The list of packages is noted while dpkg still has it; then the rest of what only a system that is updated in place
# needs goes. The recipe itself is carried out when the image is put together, for each board
# (image/recipe.sh): so it is the same for both bases.
on_chroot <<'EOF'
apt-get clean
rm -f /etc/ssh/ssh_host_*
EOF
