#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# messages.sh: what goes wrong outside the kernel ends with one clear line, and
# the virtual machine passes on what it should.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

mkdir -p "$CACHE/run"
staging=$(mktemp -d "$CACHE/run/messages.XXXXXX")
trap 'rm -rf -- "$staging"' EXIT

number=0
# expect STATUS REGEX NAME CMD...: CMD ends with STATUS and prints REGEX.
expect() {
	local status=$1 regex=$2 name=$3 rc=0
	shift 3
	"$@" >"$staging/out" 2>&1 </dev/null || rc=$?
	number=$((number + 1))
	if ((rc == status)) && grep -qE -- "$regex" "$staging/out"; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name # status $rc, not $status with '$regex'"
		sed 's/^/# /' "$staging/out"
	fi
}

kdir=$("$SCRIPTS/build-kernel" default)
source=$("$SCRIPTS/kernel-source")

expect 2 "there is no kernel build in" "KDIR that is not there" \
	make -C "$PROJECT" --no-print-directory "KDIR=$staging/none"
mkdir -p "$staging/plain/include/config"
cp "$kdir/include/config/auto.conf" "$staging/plain/include/config/"
mkdir "$staging/plain/rust"
touch "$staging/plain/Makefile" "$staging/plain/rust/libkernel.rmeta"
expect 2 "lacks the io_uring IPC hooks" "kernel without the hooks" \
	make -C "$PROJECT" --no-print-directory "KDIR=$staging/plain"
# Whoever tests with a tree of their own has KSRC set, and it is not ours to patch.
expect 2 "usage: make patch-kernel KSRC=" "patch-kernel without KSRC" \
	env -u KSRC make -C "$PROJECT" --no-print-directory patch-kernel
expect 2 "is not a kernel source tree" "patch-kernel on what is no kernel" \
	make -C "$PROJECT" --no-print-directory patch-kernel "KSRC=$staging"
expect 0 "already" "patch-kernel on a patched kernel" \
	make -C "$PROJECT" --no-print-directory patch-kernel "KSRC=$source"

vm=("$SCRIPTS/vm" --no-module)
expect 7 "^Linux" "the virtual machine passes on output and exit status" \
	"${vm[@]}" -c 'uname -s; exit 7'
expect 124 "time|limit" "and ends what takes too long" "${vm[@]}" --timeout 20 -- sleep 1000
expect 1 "no such kernel image" "and wants a kernel image that is there" \
	"$SCRIPTS/vm" --kernel "$staging/none" -- true
