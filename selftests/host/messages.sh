#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# messages.sh: what goes wrong outside the kernel ends with one clear line.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=selftests/host/results
. "$PROJECT/selftests/host/results"

mkdir -p "$CACHE/run"
staging=$(mktemp -d "$CACHE/run/messages.XXXXXX")
trap 'rm -rf -- "$staging"' EXIT

kdir=$("$SCRIPTS/build-kernel" default)
source=$("$SCRIPTS/kernel-source")
built=$("$SCRIPTS/build-module" default)
built=${built%/*}
make=(make -C "$PROJECT" --no-print-directory)

expect 2 "there is no kernel build in" "KDIR that is not there" "${make[@]}" "KDIR=$staging/none"
mkdir -p "$staging/plain/include/config"
expect 2 "is not configured and built yet" "kernel without a configuration" \
	"${make[@]}" "KDIR=$staging/plain"
grep -vx CONFIG_RUST=y "$kdir/include/config/auto.conf" >"$staging/plain/include/config/auto.conf"
expect 2 "is built without Rust \(CONFIG_RUST=y\)" "kernel without Rust" \
	"${make[@]}" "KDIR=$staging/plain"
cp "$kdir/include/config/auto.conf" "$staging/plain/include/config/"
expect 2 "lacks its Rust metadata" "kernel that is not built there" \
	"${make[@]}" "KDIR=$staging/plain"
mkdir "$staging/plain/rust"
touch "$staging/plain/Makefile" "$staging/plain/rust/libkernel.rmeta"
expect 2 "lacks the io_uring IPC hooks" "kernel without the hooks" \
	"${make[@]}" "KDIR=$staging/plain"
mkdir -p "$staging/plain/include/linux/io_uring"
echo 'int io_uring_ipc_set_ops(void);' >"$staging/plain/include/linux/io_uring/ipc.h"
expect 2 "are of another version of this project: take that patch off" "kernel with other hooks" \
	"${make[@]}" "KDIR=$staging/plain"
cp "$source/include/linux/io_uring/ipc.h" "$staging/plain/include/linux/io_uring/"
sed 's/io_uring_ipc_set_ops_2/io_uring_ipc_set_ops/' "$kdir/Module.symvers" >"$staging/plain/Module.symvers"
expect 2 "was not built since it was patched" "kernel that is patched, but not built since" \
	"${make[@]}" "KDIR=$staging/plain"
cp "$kdir/Module.symvers" "$staging/plain/"
expect 2 "was built by rustc .*, and here is no another-rustc" "kernel of another compiler" \
	env RUSTC=another-rustc "${make[@]}" "KDIR=$staging/plain"
mkdir "$staging/empty"
expect 2 "it is not built: run 'make KDIR=.*' first" "modules_install before make" \
	"${make[@]}" "KDIR=$kdir" "MO=$staging/empty" modules_install
sed 's/io_uring_ipc_set_ops_2/io_uring_ipc_set_ops_1/g' "$built/io_uring_ipc.ko" >"$staging/empty/io_uring_ipc.ko"
expect 2 "it was built for hooks of another version: run 'make KDIR=.*' again" \
	"modules_install of a module for other hooks" "${make[@]}" "KDIR=$kdir" "MO=$staging/empty" modules_install
echo 7.1.0-other >"$staging/plain/include/config/kernel.release"
expect 2 "it was built for another kernel than the one in .* \(7.1.0-other\)" \
	"modules_install for another kernel" "${make[@]}" "KDIR=$staging/plain" "MO=$built" modules_install
# Whoever tests with a tree of their own has KSRC set, and it is not ours to patch.
expect 2 "usage: make patch-kernel KSRC=" "patch-kernel without KSRC" \
	env -u KSRC "${make[@]}" patch-kernel
expect 2 "is not a kernel source tree" "patch-kernel on what is no kernel" \
	"${make[@]}" patch-kernel "KSRC=$staging"
expect 0 "already" "patch-kernel on a patched kernel" \
	"${make[@]}" patch-kernel "KSRC=$source"

# A tree of what the patches touch, as it was before them.
tree=$staging/tree
mkdir "$tree"
(cd -- "$source" && cp --parents Makefile Kbuild "$tree/" &&
	"$SCRIPTS/patch-kernel" --files "$source" | xargs -d '\n' cp --parents -t "$tree/")
for patch in "$PROJECT/patches/$KERNEL_SERIES"/*.patch; do
	echo "$patch"
done | tac | while IFS= read -r patch; do
	"$SCRIPTS/in-root" -- patch -d "$tree" -p1 -R -s -E <"$patch"
done
sed -i 's/^\(PATCHLEVEL = \).*/\199/' "$tree/Makefile"
expect 2 "error: no patch for Linux [0-9]+\.99; there are: $KERNEL_SERIES" \
	"patch-kernel on a series without a patch" "${make[@]}" patch-kernel "KSRC=$tree"
cp "$source/Makefile" "$tree/"
# The last file that the patches come to, so that others would have changed.
: >"$tree/io_uring/register.c"
cp -r "$tree" "$staging/before"
expect 2 "does not fit .* \(nothing was changed there\)" "patch-kernel on a tree that is another" \
	"${make[@]}" patch-kernel "KSRC=$tree"
expect 0 "" "and nothing was changed there" diff -r "$staging/before" "$tree"
mkdir -p "$tree/include/linux/io_uring"
echo 'int io_uring_ipc_set_ops(void);' >"$tree/include/linux/io_uring/ipc.h"
expect 2 "has patches of another version of this project: take them off first" \
	"patch-kernel on a tree that is patched otherwise" "${make[@]}" patch-kernel "KSRC=$tree"

# A copy of the scripts: others build from the project itself meanwhile.
mkdir "$staging/project"
cp -r "$SCRIPTS" "$staging/project/"
touch "$staging/project/modules.order"
expect 1 "run 'make KDIR=/path/to/build clean' there first" "sources that were built in" \
	"$staging/project/scripts/build-module" default
expect 1 "no kernel variant 'none' \(default, debug, kcsan or fuzz\)" "a variant that there is not" \
	"$SCRIPTS/build-kernel" none

expect 1 "no such file: $staging/none" "a program for the fuzzer that is not there" \
	"$SCRIPTS/fuzz" --replay "$PROJECT/selftests/fuzz/corpus.txt" "$staging/none"
expect 1 "unknown option --none" "an option that the fuzzer lacks" "$SCRIPTS/fuzz" --none
expect 1 "TOOLCHAIN is 'host' or not set, not 'Host'" "a toolchain that there is not" \
	env TOOLCHAIN=Host "$SCRIPTS/toolchain"
expect 0 "^chaos \[ARG" "help without a kernel" "$SCRIPTS/chaos" --help
for script in check litmus model model-mutants run-tests; do
	expect 0 "^${script}[ :]" "help of $script" "$SCRIPTS/$script" --help
done

expect 124 "not done after 3 s" "the virtual machine ends what takes too long" \
	"$SCRIPTS/vm" --no-module --timeout 3 -- sleep 1000
expect 1 "no such kernel image" "and wants a kernel image that is there" \
	"$SCRIPTS/vm" --kernel "$staging/none" -- true
# A QEMU that aborts the first time, before anything has run there.
mv "$staging/project/scripts/vm-qemu" "$staging/project/vm-qemu"
cat >"$staging/project/scripts/vm-qemu" <<END
[[ -e $staging/aborted ]] || {
	touch "$staging/aborted"
	kill -ABRT \$\$
}
exec bash "$staging/project/vm-qemu" "\$@"
END
expect 7 "starting it once more" "and starts once more where QEMU aborts" \
	"$staging/project/scripts/vm" --kernel "$kdir/image" -c 'exit 7'
