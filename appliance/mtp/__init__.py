# SPDX-License-Identifier: GPL-3.0-or-later
"""The Media Transfer Protocol, responder side, without any input or output of its own."""
