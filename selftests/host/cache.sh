#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# cache.sh: what is made and fetched once is there whole or not at all, and what
# stands in the way is said in one clear line. All of it in a cache of its own,
# with programs in PATH that fail: nothing is fetched here.
# shellcheck disable=SC2016 # what is quoted is for other shells
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=selftests/host/results
. "$PROJECT/selftests/host/results"

mkdir -p "$CACHE/run"
staging=$(mktemp -d "$CACHE/run/cache.XXXXXX")
elsewhere=$(mktemp -d)
trap 'rm -rf -- "$staging" "$elsewhere"' EXIT

# What the machine has, but for what the set-up installs first.
bin=$staging/bin
mkdir "$bin"
ln -s /usr/sbin/* /usr/bin/* "$bin/" 2>/dev/null || true
rm -f -- "$bin"/{mmdebstrap,apt-get,sudo,df}
program() { # NAME COMMAND...: what PATH has under that name
	# Or this would write through to the machine's own.
	rm -f -- "$bin/$1"
	printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
	chmod +x "$bin/$1"
}
alone=(env -u TOOLCHAIN "PATH=$bin" "XDG_CACHE_HOME=$staging/cache")
# The real one would look for programs elsewhere.
program sudo 'shift; exec "$@"'

expect 1 "error: no place for the cache: set HOME or XDG_CACHE_HOME" "no home" \
	"${alone[@]}" env -u HOME -u XDG_CACHE_HOME "$SCRIPTS/toolchain"
expect 1 "error: there may be no space, .* in $staging/a b/io_uring_ipc" "a cache that make would split" \
	"${alone[@]}" env "XDG_CACHE_HOME=$staging/a b" "$SCRIPTS/toolchain"

program df 'echo Avail; echo 7'
expect 1 "error: .* needs about 8 GB of free disk space, there are 7" "a full disk" \
	"${alone[@]}" "$SCRIPTS/toolchain"
program df 'echo Avail; echo 8'
# A user namespace without users makes even root somebody else.
mv "$bin/sudo" "$bin/not-sudo"
expect 1 "^toolchain: error: this needs root: run as root or install sudo" "neither root nor sudo" \
	"${alone[@]}" unshare --user "$SCRIPTS/toolchain"
# In the real cache, which has a root.
expect 1 "error: this needs root: run as root or install sudo" "neither of them, with a root" \
	env -u TOOLCHAIN "PATH=$bin" unshare --user "$SCRIPTS/in-root" -- true
program sudo 'exit 1'
expect 1 "error: this needs root, and sudo has refused" "a wrong password" \
	"${alone[@]}" unshare --user "$SCRIPTS/toolchain"
mv "$bin/not-sudo" "$bin/sudo"
expect 1 "mmdebstrap is missing and there is no apt-get" "a machine without packages" \
	"${alone[@]}" "$SCRIPTS/toolchain"
program apt-get 'echo "E: Unable to locate package" >&2; exit 100'
expect 1 "error: cannot install mmdebstrap by apt-get" "a package that is not to be had" \
	"${alone[@]}" "$SCRIPTS/toolchain"
program apt-get ''
program mmdebstrap 'echo "E: no route"; exit 25'
expect 1 "not from .*: E: no route" "a mirror that cannot be reached" \
	"${alone[@]}" "$SCRIPTS/toolchain"
expect 1 "error: cannot make the toolchain root: .* See $staging/cache/.*\.log" \
	"and no other one" "${alone[@]}" "$SCRIPTS/toolchain"
# One that keeps nothing of the environment, as most are set up.
program sudo 'shift; exec /usr/bin/env -i "PATH=$PATH" "$@"'
program mmdebstrap 'echo "E: by way of $http_proxy"; exit 25'
expect 1 "not from .*: E: by way of http://proxy:3128" "a proxy that sudo hides" \
	"${alone[@]}" http_proxy=http://proxy:3128 unshare --user "$SCRIPTS/toolchain"
program apt-cache ''
expect 1 "no package linux-source-0 in the archives" "kernel source that is not in the archives" \
	"${alone[@]}" "$SCRIPTS/fetch-source" linux-source-0 "$staging"

# Below a directory that is made in the root for it. In the real cache.
mkdir -p "$elsewhere/ksrc/tree"
expect 0 "^755\$" "a mask that lets nobody else in" \
	bash -c 'umask 077 && KSRC=$1/ksrc/tree exec "$2" -- stat -c %a "$1/ksrc"' \
	bash "$elsewhere" "$SCRIPTS/in-root"
expect 0 "^unset unset\$" "what another build was told" \
	env "KBUILD_OUTPUT=$staging/ksrc" ARCH=um "$SCRIPTS/in-root" -- \
	sh -c 'echo "${KBUILD_OUTPUT-unset} ${ARCH-unset}"'
expect 0 "" "root without root's PATH" \
	env PATH=/usr/bin:/bin "$SCRIPTS/in-root" -- true

# The part that sudo runs, with what it may have made of the environment.
mkdir -p "$elsewhere/part/tree"
expect 0 "^755\$" "neither where sudo runs it" \
	as_root unshare --mount --propagation private -- \
	env PATH=/usr/bin:/bin sh -c 'umask 077; exec "$@"' sh \
	bash "$SCRIPTS/in-root-mounts" "$("$SCRIPTS/toolchain")" / / "" 0 0 0 \
	1 "$elsewhere/part/tree" 0 stat -c %a "$elsewhere/part"

# make DIR FUNC: make_once, in a process of its own.
cat >"$staging/make" <<END
set -euo pipefail
. "$SCRIPTS/lib.sh"
killed() { touch "\$1/part" && kill -KILL \$\$ \$BASHPID; }
fails() { touch "\$1/part" && false; }
whole() { test ! -e "\$1/part" && touch "\$1/whole"; }
slow() { echo made >>"\$CACHE/times" && sleep 0.5 && touch "\$1/whole"; }
make_once "\$CACHE/\$1" "\$2"
test -e "\$CACHE/\$1/whole"
END
make=("${alone[@]}" bash "$staging/make")

expect 137 "" "what makes it is killed" "${make[@]}" thing killed
expect 0 "" "and the next run begins anew" "${make[@]}" thing whole
expect 1 "" "what makes it fails" "${make[@]}" other fails
expect 0 "" "and the next run begins anew, too" "${make[@]}" other whole
expect 0 "" "what is there is not made again" "${make[@]}" other killed

"${make[@]}" both slow 2>/dev/null &
first=$!
"${make[@]}" both slow 2>/dev/null &
second=$!
rc=0
wait "$first" || rc=$?
wait "$second" || rc=$?
report "$rc" "two runs at once both have it"
expect 0 "^1\$" "and it was made once" grep -c made "$staging/cache/io_uring_ipc/times"
