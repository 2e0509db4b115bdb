# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What all scripts here share. To be sourced, not run.

KERNEL_SERIES=7.2
# Debian release the toolchain root is made from.
ROOT_SUITE=trixie

PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
SCRIPTS=$PROJECT/scripts
# nproc knows nothing of what a container may use.
JOBS=$(nproc)
if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [[ $quota != max ]]; then
	quota=$(((quota + period - 1) / period))
	((quota >= JOBS)) || JOBS=$quota
fi
unset quota period

# What was said to the make that called is not meant for those run from here, nor
# what others' builds are told: no key of the cache has it.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL GNUMAKEFLAGS
unset KBUILD_OUTPUT KBUILD_EXTMOD KBUILD_EXTMOD_OUTPUT ARCH SUBARCH CROSS_COMPILE LLVM
unset CC HOSTCC LD AS AR CPPFLAGS CFLAGS LDFLAGS KCFLAGS KRUSTFLAGS LOCALVERSION CDPATH
unset RUSTFLAGS RUSTC_WRAPPER CARGO_ENCODED_RUSTFLAGS
unset CARGO_BUILD_TARGET CARGO_BUILD_RUSTC CARGO_BUILD_RUSTC_WRAPPER CARGO_BUILD_RUSTFLAGS
# Where root is somebody who has become it by su, or by cron.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# What root makes here others have to find, and what is built is run by others.
umask 022

die() {
	printf '%s: error: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# help_for ARG...: where the first says so, print how the script describes itself,
# and end.
help_for() {
	[[ ${1-} != -h && ${1-} != --help ]] || {
		sed -n '3,/^set/s/^# \{0,1\}//p' "$0"
		exit
	}
}

note() {
	printf '%s\n' "$*" >&2
}

# step TEXT USUAL-TIME: say what is starting and how long it usually takes,
# so that a silent minute does not look like a hang.
step() {
	printf '== %s (usually %s)\n' "$1" "$2" >&2
}

[[ -n ${XDG_CACHE_HOME:-${HOME-}} ]] || die "no place for the cache: set HOME or XDG_CACHE_HOME"
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/io_uring_ipc
mkdir -p "$CACHE" || die "cannot create the cache directory $CACHE (XDG_CACHE_HOME says where)"
CACHE=$(cd -- "$CACHE" && pwd -P)
# make, kbuild and mount options would split them.
for dir in "$PROJECT" "$CACHE"; do
	[[ $dir != *[[:space:]:%]* ]] || die "there may be no space, colon or percent sign in $dir"
done
unset dir

[[ -z ${TOOLCHAIN-} || $TOOLCHAIN == host ]] || die "TOOLCHAIN is 'host' or not set, not '$TOOLCHAIN'"

export KERNEL_SERIES ROOT_SUITE PROJECT SCRIPTS CACHE JOBS

# need_root: end here if as_root cannot work.
need_root() {
	((EUID == 0)) || command -v sudo >/dev/null || die "this needs root: run as root or install sudo"
}

# as_root CMD...: run CMD with root's rights: directly, or through sudo. Where
# sudo cannot ask for a password, or nobody sees what is wrong, `as_root true`
# comes first.
as_root() {
	need_root
	if ((EUID == 0)); then
		"$@"
	else
		# Of the environment sudo keeps next to nothing.
		local exported
		exported "$PROXIES"
		sudo -- env "${exported[@]}" "$@"
	fi
}

# What programs are told of the way to the network.
PROXIES='(https?|ftp|all|no)_proxy'

# exported REGEX: what there is in the environment under such names, of any case:
# NAME=VALUE each, in the array of this function's name.
exported() {
	local name
	exported=()
	while IFS= read -r name; do
		exported+=("$name=${!name}")
	done < <(compgen -e | grep -iE "^($1)\$")
}

# with_lock NAME CMD...: run CMD while no other run holds the lock NAME.
# The lock's descriptor is not handed on to CMD: a daemon left behind by it
# would otherwise keep the lock for ever.
with_lock() {
	local lock=$CACHE/lock/$1
	shift
	mkdir -p "$CACHE/lock"
	(
		if ! flock -n 9; then
			note "waiting for another run (${lock##*/})"
			flock 9
		fi
		"$@" 9>&-
	) 9>"$lock"
}

# remove_tree DIR: delete DIR unless something is mounted below it.
remove_tree() {
	local dir=$1
	[[ -e $dir || -L $dir ]] || return 0
	[[ $dir == "$CACHE"/* ]] || die "will not remove $dir: not in the cache"
	if awk -v d="$dir" '$5 == d || index($5, d "/") == 1 { f = 1 } END { exit !f }' \
		/proc/self/mountinfo; then
		die "will not remove $dir: something is mounted below it"
	fi
	if ! rm -rf --one-file-system -- "$dir" 2>/dev/null; then
		as_root rm -rf --one-file-system -- "$dir"
	fi
}

# make_once DIR FUNC [ARG...]: have DIR filled by `FUNC DIR ARG...`, once.
# DIR counts only when DIR.ok exists, which is made last: an interrupted run
# leaves a DIR without it, and the next one starts afresh. (Filling a
# directory of another name and renaming it would do for some of what is made
# here, but a kernel build knows its own path.)
make_once() {
	local dir=$1
	if ! is_made "$dir"; then
		mkdir -p "${dir%/*}"
		with_lock "${dir##*/}" make_once_locked "$@"
	fi
	# Age is time since last use: see forget_old.
	touch -c "$dir.ok" 2>/dev/null || true
}

is_made() {
	[[ -e $1.ok && -d $1 ]]
}

make_once_locked() {
	local dir=$1 func=$2
	shift 2
	# Somebody else may have made it while we waited for the lock.
	! is_made "$dir" || return 0
	rm -f -- "$dir.ok"
	remove_tree "$dir"
	mkdir "$dir"
	"$func" "$dir" "$@"
	: >"$dir.ok"
}

# forget_old DIR-PREFIX: remove what make_once made under this name with other
# keys, when it has not been used for two weeks.
forget_old() {
	local ok
	while IFS= read -r ok; do
		note "removing ${ok%.ok}: not used for two weeks"
		rm -f -- "$ok"
		remove_tree "${ok%.ok}"
	done < <(find "${1%/*}" -maxdepth 1 -name "${1##*/}*.ok" -mtime +14 2>/dev/null)
}

# need_disk GB: one clear line now instead of a failure in the middle.
need_disk() {
	local free
	free=$(df --output=avail -B1G -- "$CACHE" | tail -n 1 | tr -d ' ')
	((free >= $1)) || die "$CACHE needs about $1 GB of free disk space, there are $free (XDG_CACHE_HOME says where it is)"
}

# hash_of: a short name for what is on standard input.
hash_of() {
	sha256sum | cut -c1-12
}
