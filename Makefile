# SPDX-License-Identifier: GPL-2.0
# `make help` lists what there is. Kbuild describes the module itself.

KDIR ?= /lib/modules/$(shell uname -r)/build

# Kept apart from the sources when set: default and debug builds do not mix.
MO ?=
kbuild = $(MAKE) -C "$(KDIR)" M="$(CURDIR)" $(if $(MO),MO="$(abspath $(MO))")

# A string with any quotes in it comes through the environment unharmed.
export IOIPC_CMD := $(value CMD)

.PHONY: all modules modules_install headers_install clippy clean help
.PHONY: patch-kernel kernel module module-debug vm demo test test-debug test-kcsan
.PHONY: check bench bench-check chaos fuzz litmus model model-mutants stress

all: modules

modules clippy: check-kdir
modules:
	$(kbuild) modules

# As root there may be no rustc, nor need there be one.
modules_install:
	@./scripts/check-kdir "$(KDIR)" "$(or $(MO),.)/io_uring_ipc.ko"
	$(kbuild) modules_install

# As the kernel's target of that name.
INSTALL_HDR_PATH ?= /usr/local
headers_install:
	install -D -m 644 include/uapi/linux/io_uring_ipc.h \
		"$(INSTALL_HDR_PATH)/include/linux/io_uring_ipc.h"

# kbuild forgets to look at sources again where only the compiler changed.
clippy:
	$(kbuild) CLIPPY=1 modules

clean:
	$(if $(wildcard $(KDIR)/Makefile),$(kbuild) clean,@echo "the module is not cleaned: there is no kernel build in $(KDIR) (set KDIR=/path/to/build)")
	$(MAKE) -C selftests clean

.PHONY: check-kdir
check-kdir:
	@./scripts/check-kdir "$(KDIR)"

patch-kernel:
	@test -n "$(KSRC)" || { echo "usage: make patch-kernel KSRC=/path/to/linux" >&2; exit 1; }
	@./scripts/patch-kernel "$(KSRC)"

kernel:
	@./scripts/build-kernel default

module:
	@./scripts/build-module default

module-debug:
	@./scripts/build-module debug

variant = $(if $(VARIANT),--variant "$(VARIANT)")
ifeq ($(origin CMD),undefined)
vm:
	@./scripts/vm $(variant)
else
vm:
	@./scripts/vm $(variant) -c "$$IOIPC_CMD"
endif

demo:
	@./scripts/demo

test:
	@./scripts/run-tests "$(or $(VARIANT),default)"

test-debug:
	@./scripts/run-tests debug

test-kcsan:
	@./scripts/run-tests kcsan

chaos:
	@./scripts/chaos

fuzz:
	@./scripts/fuzz

stress:
	@./scripts/stress

check:
	@./scripts/check

litmus:
	@./scripts/litmus

bench:
	@./scripts/bench

bench-check:
	@./scripts/bench --check

model:
	@./scripts/model

model-mutants:
	@./scripts/model-mutants

help:
	@echo 'With a patched kernel of your own:'
	@echo '  make patch-kernel KSRC=/path/to/linux   apply the patches to that source'
	@echo '  make [KDIR=/path/to/build]              build the module for that kernel'
	@echo '  make [KDIR=...] modules_install         install it there (as root)'
	@echo '  make headers_install                    the header for programs, in /usr/local'
	@echo '  make clean'
	@echo
	@echo 'Everything made here (needs root or sudo, a network for the first time,'
	@echo '8 GB of disk space; kept in $${XDG_CACHE_HOME:-~/.cache}/io_uring_ipc):'
	@echo '  make demo                a demonstration in a virtual machine'
	@echo '  make vm                  a shell in a virtual machine, module loaded'
	@echo "  make vm CMD='uname -a'   a command in it; scripts/vm --help has more"
	@echo '  make test                the tests'
	@echo '  make test-debug          the same on a kernel with KASAN and lockdep'
	@echo '  make test-kcsan          messages, waiting, lifetimes, on one that looks for data races'
	@echo '  make chaos [MINUTES=n] [SEED=n]  many processes at random, every message accounted for'
	@echo '  make fuzz [MINUTES=n] [SEED=n]   the fuzzer, guided by coverage'
	@echo '  make model               the ring, delivery and wake-ups under model checkers'
	@echo '  make model-mutants       whether those find errors that are planted'
	@echo '  make stress [MESSAGES=n] what is rare: lost wake-ups, miscounts, at length'
	@echo '  make check               formatting, lints, checkpatch'
	@echo '  make litmus              the orderings, in the kernel memory model'
	@echo '  make bench [QUICK=1]     the benchmarks: tables and plots (ALL=1: more)'
	@echo '  make bench-check         whether messages cost no more instructions than they may'
	@echo '  make kernel              just build the kernel; prints where'
	@echo '  make module, module-debug  just build the module; prints where'
	@echo
	@echo 'VARIANT=debug has vm, test, chaos, fuzz and stress take that kernel.'
	@echo 'KSRC=/path/to/linux uses a copy of that source instead of fetching one.'
	@echo 'TOOLCHAIN=host uses the tools of this machine instead of fetching them.'
