# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie on the appliance. Commands take other places as options."""

from pathlib import Path

#: The settings file, for the responder's user to write; people edit it too.
SETTINGS = Path("/etc/mtp-appliance/settings.toml")
#: Secrets of the settings, a file each; root's, and the page's group reads what the page needs.
SECRETS = Path("/var/lib/mtp-appliance-secrets")
#: What is kept over restarts.
STATE = Path("/var/lib/mtp-appliance")
#: What root remembers of the card, such as what was taken over from it; root's.
CARD = Path("/var/lib/mtp-appliance-card")
#: The responder's own: the control socket and the status.
RUN = Path("/run/mtp-appliance")
STATUS = RUN / "status.json"
#: The settings page's own: the key of its sessions, and what is uploaded to it.
PAGE_STATE = Path("/var/lib/mtp-appliance-web")
#: Where root's helper is asked.
HELPER = Path("/run/mtp-appliance-helper/helper.sock")
#: Root's own, so that nobody else decides where root mounts.
FUNCTIONFS = Path("/run/mtp-appliance-gadget/functionfs")
#: What the Wi-Fi's services read, made from the settings; a secret is in it.
WIFI = Path("/run/mtp-appliance-wifi")
#: The kernel's network interfaces.
NETWORK_CARDS = Path("/sys/class/net")
#: A line of each unit that failed, named after it; gone when it runs again.
FAILURES = Path("/run/mtp-appliance-failures")
#: The program as the image brought it, and what it says of itself.
PROGRAM = Path("/usr/lib/mtp-appliance")
#: Which image or installation this is; as old as it.
RELEASE = PROGRAM / "release"
#: Versions that were installed beside it, and which of them is chosen; root's.
VERSIONS = Path("/var/lib/mtp-appliance-versions")
#: Which version was taken back since the machine started, and why; root's.
TAKEN_BACK = Path("/run/mtp-appliance-version/taken-back")
#: Where the settings page keeps what is uploaded to it.
UPLOADS = Path("/var/lib/mtp-appliance-web/uploads")
#: On the partition of the card that any PC can read: settings for before the first boot.
BOOT_SETTINGS = Path("/boot/firmware/mtp-appliance.toml")
