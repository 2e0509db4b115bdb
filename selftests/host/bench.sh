#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh: what a run of the benchmarks has measured is kept, however it ends.
# With a machine and a program that measure nothing.
# shellcheck disable=SC2016 # what is quoted is for other shells
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=selftests/host/results
. "$PROJECT/selftests/host/results"

mkdir -p "$CACHE/run"
staging=$(mktemp -d "$CACHE/run/bench.XXXXXX")
trap 'rm -rf -- "$staging"' EXIT
mkdir "$staging/project" "$staging/out"
cp -r "$SCRIPTS" "$staging/project/"
program() { # NAME COMMAND...: what the script of that name does
	printf '#!/usr/bin/env bash\n%s\n' "$2" >"$staging/project/scripts/$1"
	chmod +x "$staging/project/scripts/$1"
}
program build-module :
program crates 'dirname -- "$0"'
# ipc-bench: run writes what it has measured first, and then hangs or not.
program ipc-bench 'case $1 in
run) echo measured >"$3/results.json"; touch "$3/results.json.new"; : >"$STAGING/began"; $HANG ;;
report) [[ -z $FULL ]] || exit 2; echo table >"$4/results.md" ;;
esac'
program vm 'while [[ $1 != -- ]]; do shift; done; shift; "$@"; exit 7'
bench=(env STAGING="$staging" HANG=: FULL= OUT="$staging/out" "$staging/project/scripts/bench")

# is OUTPUT FILE...: what there is then in the directory of results.
is() {
	local expected=$1
	shift
	[[ $(cd -- "$staging/out" && cat -- "$@") == "$expected" ]] &&
		[[ $(ls -- "$staging/out") == "$(printf '%s\n' "$@")" ]]
}

touch "$staging/out/broadcast-batch-16.svg"
expect 7 "the run was cut short" "a machine that ends too early" "${bench[@]}"
rc=0
is $'measured\ntable' results.json results.md || rc=1
report $rc "what it has measured is there, and nothing older"

# Without job control a process in the background does not hear of the key.
rm -f -- "$staging/began"
setsid env --default-signal=INT STAGING="$staging" HANG='sleep 600' "${bench[@]:4}" \
	>"$staging/log" 2>&1 &
pid=$!
for _ in {1..600}; do
	[[ ! -e $staging/began ]] || break
	sleep 0.1
done
kill -INT -- "-$pid"
rc=0
wait "$pid" || rc=$?
[[ $rc == 130 ]] && is $'measured\ntable' results.json results.md && rc=0
report $rc "a run that is interrupted keeps what it has measured"

expect 7 "results.json are in" "no room for tables" "${bench[@]:0:2}" HANG=: FULL=1 "${bench[@]:4}"
rc=0
is measured results.json || rc=1
report $rc "then there are none of another run"
