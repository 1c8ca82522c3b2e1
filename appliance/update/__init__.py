# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates: signed bundles, and versions of the program that lie beside one another."""
