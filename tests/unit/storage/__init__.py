# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders as storages: on real files, with what goes wrong with them."""
