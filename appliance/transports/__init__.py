# SPDX-License-Identifier: GPL-3.0-or-later
"""The roads between initiators and the responder; each only moves bytes."""
