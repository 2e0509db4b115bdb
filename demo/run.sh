#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Streams FILE (8 MiB or more) from a C program to Rust programs in every mode,
# and compares what arrives: run.sh FILE
#
# Needs the module, and the two programs in $DEMO_BIN. The copies go to a tmpfs
# of their own: as root a new one, else a directory in $TMPDIR or /dev/shm.

set -eu

if [ $# -ne 1 ]; then
	echo "usage: DEMO_BIN=DIRECTORY $0 FILE" >&2
	exit 2
fi
: "${DEMO_BIN:?has to name the directory with the built programs}"

dir=$(mktemp -d "${TMPDIR:-/dev/shm}/ipc-demo.XXXXXX" 2>/dev/null ||
	mktemp -d /tmp/ipc-demo.XXXXXX)
mounted=

clean_up() {
	[ -z "$mounted" ] || umount "$dir"
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ "$(id -u)" -eq 0 ]; then
	mount -t tmpfs -o mode=0700 ipc-demo "$dir"
	mounted=yes
fi

"$DEMO_BIN/ipc-stream-demo" run \
	--sender "$DEMO_BIN/ipc-stream-sender" --dir "$dir" "$1"
