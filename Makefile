# SPDX-License-Identifier: GPL-3.0-or-later
# What a person does with this project. `make` alone lists it.

FOLDER ?= share
PORT ?= 15740
WEB_PORT ?= 8080
PYTHON ?= python3
ARGS ?=
BOARD ?= zero2w
BASE ?=
URL ?=
export FOLDER PORT WEB_PORT PYTHON

.DEFAULT_GOAL := help
.PHONY: help run test test-fast torture check vm icon translations bench bundle key image release clean

help: ## list what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

run: ## serve share/ (or FOLDER=/path) over PTP/IP on this machine, with its settings page (PORT=n, WEB_PORT=n)
	@sh tests/setup.sh run
	@sh tests/serve.sh

test: ## run all the tests, those in the virtual Pi too (ARGS="-k name" for some)
	@sh tests/setup.sh test
	.venv/bin/python -m pytest $(ARGS)

test-fast: ## run the tests that need no virtual Pi
	@sh tests/setup.sh test-fast
	.venv/bin/python -m pytest --no-guest $(ARGS)

.PHONY: test-redirected
test-redirected: ## run every client over usbredir, in a QEMU guest whose host serves the device
	@sh tests/setup.sh test
	.venv/bin/python -m pytest tests/clients tests/usbredir --redirected -k usbredir $(ARGS)

torture: ## look for what nobody thought of (ARGS="--seconds 600 --seed 7": for each harness)
	@sh tests/setup.sh test-fast
	.venv/bin/python -m pytest tests/torture --no-guest --seconds 60 $(ARGS)

check: ## look for slips in style and types (ruff, mypy)
	@sh tests/setup.sh check
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

vm: ## open a shell in the virtual Pi, with the device plugged in
	@sh tests/setup.sh vm
	.venv/bin/python -m tests.vm shell

image: ## make the image of an SD card for BOARD=zero (also Zero W) or zero2w, as root; in build/image
	@sh tests/setup.sh image
	.venv/bin/python -m image build $(BOARD) $(BASE:%=--base %)

.PHONY: image-test
image-test: ## make the image and look into it: partitions, file systems, contents (BOARD=zero2w or zero)
	@sh tests/setup.sh image-test
	.venv/bin/python -m image build $(BOARD) $(BASE:%=--base %)
	MTP_APPLIANCE_IMAGE=$(BOARD) .venv/bin/python -m pytest --no-guest tests/image/made $(ARGS)

.PHONY: image-boot-test
image-boot-test: ## make the image, run it in QEMU as far as that goes and use it (docs/image-test.md; BOARD=)
	@sh tests/setup.sh image-test
	.venv/bin/python -m image build $(BOARD) $(BASE:%=--base %)
	MTP_APPLIANCE_IMAGE=$(BOARD) MTP_APPLIANCE_IMAGE_BOOTS=1 .venv/bin/python -m pytest --no-guest tests/image/made $(ARGS)

release: ## make the files of a release of BOARD's image in build/release (URL=where they will lie)
	@sh tests/setup.sh image
	.venv/bin/python -m image build $(BOARD) $(BASE:%=--base %)
	.venv/bin/python -m image release $(BOARD) --url "$(URL)"

bench: ## measure speed and memory beside uMTP-Responder in the virtual Pi; makes docs/performance.md
	@sh tests/setup.sh bench
	.venv/bin/python -m tests.bench run $(ARGS)

.PHONY: bench-redirected
bench-redirected: ## measure beside QEMU's usb-mtp in one guest; makes the table in docs/qemu.md
	@sh tests/setup.sh bench
	.venv/bin/python -m tests.bench.redirected $(ARGS)

translations: ## bring the settings page's catalogues up to date, for who translates
	@sh tests/setup.sh check
	.venv/bin/python -m tests.translations

KEY ?=
BUNDLE ?=
bundle: ## make a signed update in build/ (KEY=path; BUNDLE="--version 0.2.0+mine")
	@sh tests/setup.sh check
	.venv/bin/python -m image.bundle make $(if $(KEY),--key "$(KEY)") $(BUNDLE)

key: ## make a key that signs updates (KEY=path), unless it is there
	@sh tests/setup.sh check
	.venv/bin/python -m image.bundle key $(if $(KEY),--key "$(KEY)")

ICON_SIZES = 16 32 48 256
icon: ## draw the device's icon anew from its SVG (Debian's librsvg2-bin)
	@sh tests/setup.sh check
	mkdir -p build
	for size in $(ICON_SIZES); do rsvg-convert -w $$size -h $$size appliance/data/icon.svg -o build/$$size.png; done
	.venv/bin/python -c "import sys; from PIL import Image; *small, large = map(Image.open, sys.argv[1:]); \
	    large.save('appliance/data/icon.ico', append_images=small, sizes=[i.size for i in (*small, large)])" \
	    $(ICON_SIZES:%=build/%.png)

clean: ## remove what make has made here, but never share/
	rm -rf .venv .make build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find appliance image tests -name __pycache__ -prune -exec rm -rf {} +
