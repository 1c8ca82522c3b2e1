# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast, how large: measurements beside another responder's, in the virtual Pi."""
