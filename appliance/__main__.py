# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m appliance` is the command `mtp-appliance`."""

import sys

from appliance.cli import main

if __name__ == "__main__":
    sys.exit(main())
