#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# install.sh [VARIANT]: what somebody meets who installs the module, in a virtual
# machine: modules_install, a module for another kernel, loading on demand,
# modprobe, the README's example, the demonstration, rmmod.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=selftests/host/results
. "$PROJECT/selftests/host/results"

variant=${1-default}
kdir=$("$SCRIPTS/build-kernel" "$variant")
tests=$("$SCRIPTS/build-selftests")
demo=$("$SCRIPTS/build-demo")
module=$("$SCRIPTS/build-module" "$variant")
built=${module%/*}
# A directory of this run's own, in the cache: the guest sees it.
mkdir -p "$CACHE/run"
staging=$(mktemp -d "$CACHE/run/install.XXXXXX")
trap 'rm -rf -- "$staging"' EXIT

expect 0 "" "make modules_install" \
	"$SCRIPTS/in-root" -- env RUSTC=/none make --no-print-directory -s "KDIR=$kdir" "MO=$built" \
	"INSTALL_MOD_PATH=$staging" modules_install
expect 0 "" "make headers_install" \
	make -C "$PROJECT" --no-print-directory -s "INSTALL_HDR_PATH=$staging/usr" headers_install
# As if built for another version, one of as many letters.
sed "s/vermagic=$KERNEL_SERIES/vermagic=${KERNEL_SERIES//[0-9]/1}/" "$module" >"$staging/other.ko"
sed 's/io_uring_ipc_set_ops_2/io_uring_ipc_set_ops_9/g' "$module" >"$staging/unknown.ko"
grep -v '^#' "$PROJECT/selftests/log_trouble" >"$staging/trouble"
# shellcheck disable=SC2016 # backticks are those of Markdown
sed -n '/^```c$/,/^```$/{/^```/!p}' "$PROJECT/README.md" >"$staging/hello.c"
expect 0 "" "the README's example compiles" \
	"$SCRIPTS/in-root" -- cc -Wall -Wextra -Werror "-I$staging/usr/include" \
	-o "$staging/hello" "$staging/hello.c" -luring
# As much as the demonstration wants.
head -c 8M "$kdir/vmlinux" >"$staging/file"

cat >"$staging/guest" <<END
set -e
mkdir /tmp/upper /tmp/work
mount -t overlay lib -o lowerdir=/usr/lib,upperdir=/tmp/upper,workdir=/tmp/work /usr/lib
mkdir -p /usr/lib/modules
cp -r "$staging"/lib/modules/* /usr/lib/modules/
depmod -a 2>/dev/null
loaded() { grep -q '^io_uring_ipc ' /proc/modules; }
absent() { test ! -e /sys/module/io_uring_ipc; }
# What modprobe does, and the core asks for, where somebody will not have it.
unwanted() {
	mkdir /run/modprobe.d
	echo 'blacklist io_uring_ipc' >/run/modprobe.d/unwanted.conf
	! "$tests/rfc" | grep '^# PASSED' && absent && rm /run/modprobe.d/unwanted.conf
}
# A module for hooks that this kernel does not have.
unknown() { insmod "$staging/unknown.ko" 2>&1 | tee /dev/stderr | grep -q 'Unknown symbol'; }
hooks() { dmesg | grep 'io_uring_ipc: Unknown symbol io_uring_ipc_set_ops_9 (err -2)'; }
# As the tests' own driver looks at it.
clean() { ! dmesg | grep -F -A 30 -e "\$(cat "$staging/trouble")"; }
refused() { insmod "$staging/other.ko" 2>&1 | tee /dev/stderr | grep -q 'Invalid module format'; }
magic() { dmesg | grep "io_uring_ipc: version magic '.*' should be '\$(uname -r) "; }
used() { "$tests/rfc" | grep '^# PASSED'; }
example() { "$staging/hello" | grep -x hello; }
demo() { DEMO_BIN=$demo sh "$PROJECT/demo/run.sh" "$staging/file"; }
say() { # KEY CMD...
	rc=0
	key=\$1
	shift
	"\$@" >/tmp/log 2>&1 || rc=\$?
	cat /tmp/log
	echo "result \$key \$rc"
}
say refused refused
say magic magic
say unknown unknown
say hooks hooks
say before absent
say unwanted unwanted
say used used
say demand loaded
say rmmod rmmod io_uring_ipc
say gone absent
say modprobe modprobe io_uring_ipc
say loaded loaded
say example example
say demo demo
say again rmmod io_uring_ipc
say clean clean
exit 7
END
rc=0
"$SCRIPTS/vm" --variant "$variant" --no-module -- bash "$staging/guest" >"$staging/out" || rc=$?

bad=$((rc != 7))
check() { # KEY NAME
	local result
	result=$(sed -n "s/^result $1 //p" "$staging/out")
	report "${result:-1}" "$2"
	[[ $result == 0 ]] || bad=1
}
check refused "a module for another kernel is refused"
check magic "and the log says why"
check unknown "and one for other hooks"
check hooks "and the log says which"
check before "not loaded at first"
check unwanted "nor on demand where it is blacklisted"
check used "a program uses channels"
check demand "which has loaded the module"
check rmmod "rmmod after the program's end"
check gone "and it is gone"
check modprobe "modprobe"
check loaded "and it is there"
check example "the README's example works"
check demo "the demonstration works"
check again "rmmod again"
check clean "the kernel's log is clean"
report "$((rc != 7))" "the virtual machine passes on output and exit status"
((bad == 0)) || sed 's/^/# /' "$staging/out"
