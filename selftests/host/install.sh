#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# install.sh [VARIANT]: modules_install, loading on demand, modprobe, rmmod, in
# a virtual machine.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

variant=${1-default}
kdir=$("$SCRIPTS/build-kernel" "$variant")
tests=$("$SCRIPTS/build-selftests")
module=$("$SCRIPTS/build-module" "$variant")
built=${module%/*}
# A directory of this run's own, in the cache: the guest sees it.
staging=$(mktemp -d "$CACHE/run/install.XXXXXX")
trap 'rm -rf -- "$staging"' EXIT

number=0
report() { # RESULT NAME
	number=$((number + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
	fi
}

rc=0
"$SCRIPTS/in-root" -- make --no-print-directory -s "KDIR=$kdir" "MO=$built" \
	"INSTALL_MOD_PATH=$staging" modules_install >"$staging/log" 2>&1 || rc=$?
((rc == 0)) || sed 's/^/# /' "$staging/log"
report "$rc" "make modules_install"

cat >"$staging/guest" <<END
set -e
mkdir /tmp/upper /tmp/work
mount -t overlay lib -o lowerdir=/usr/lib,upperdir=/tmp/upper,workdir=/tmp/work /usr/lib
mkdir -p /usr/lib/modules
cp -r "$staging"/lib/modules/* /usr/lib/modules/
depmod -a 2>/dev/null
loaded() { grep -q '^io_uring_ipc ' /proc/modules; }
say() { if "\$@"; then echo 0; else echo 1; fi; }
echo "before \$(say test ! -e /sys/module/io_uring_ipc)"
"$tests/rfc" >/tmp/log 2>&1 || true
echo "demand \$(say loaded)"
echo "used \$(say grep -q '^# PASSED' /tmp/log)"
echo "rmmod \$(say rmmod io_uring_ipc)"
echo "gone \$(say test ! -e /sys/module/io_uring_ipc)"
echo "modprobe \$(say modprobe io_uring_ipc)"
echo "loaded \$(say loaded)"
echo "again \$(say rmmod io_uring_ipc)"
END
"$SCRIPTS/vm" --variant "$variant" --no-module -- bash "$staging/guest" >"$staging/out" || true

check() { # KEY NAME
	local result
	result=$(sed -n "s/^$1 //p" "$staging/out")
	report "${result:-1}" "$2"
}
check before "not loaded at first"
check demand "loaded by the first use of a channel"
check used "which works"
check rmmod "rmmod after the program's end"
check gone "and it is gone"
check modprobe "modprobe"
check loaded "and it is there"
check again "rmmod again"
