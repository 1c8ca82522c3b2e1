# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

pytest_plugins = ["tests.vm.plugin"]
