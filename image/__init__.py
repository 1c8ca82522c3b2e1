# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the image for an SD card: `python -m image --help`."""
