#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [directory [test...]]
#
# Runs the tests built in the directory (default: where this file is) one
# after the other, as root, with the module loaded. Prints KTAP and, last,
# "N passed, N failed". The exit status is 0 if all passed.
#
# IOIPC_MODULE       the module's file, for the tests that unload and load it
# IOIPC_TEST_MODULE  the module's file built with IOIPC_TEST=1: with the
#                    first_position parameter and the KUnit suites
# IOIPC_STRESS       messages for each case of stress_wait, for more than a few
# IOIPC_LOSSY        messages sent at full speed in lossy, for more than a few
# IOIPC_CYCLES       how often unload loads and unloads with requests waiting
# IOIPC_VARIANT      which of the project's kernels this is: not set for others,
#                    of which less is expected

dir=${1:-$(dirname "$0")}
dir=$(cd "$dir" && pwd) || exit 2
[ $# -gt 0 ] && shift

all="supervision abi abi_kernel params basic names rights capability passed mode expel revoke
identity delivery lossy presence lifetime mmap poll fault late
account rfc wait multishot layouts buffers send_wait cancel handon flags fail_calls
fail_requests stress_wait unload leak limits kunit wrap"
tests=${*:-$all}

case $IOIPC_VARIANT in
debug | kcsan) slowness=10 ;;
*) slowness=1 ;;
esac

name=io_uring_ipc
passed=0
failed=0
number=0
counts=$(mktemp /tmp/ipc-counts.XXXXXX) || exit 2
# For users without rights to have pages that come late.
late_pages=/proc/sys/vm/unprivileged_userfaultfd
late_pages_before=$(cat "$late_pages" 2>/dev/null)
[ -z "$late_pages_before" ] || echo 1 >"$late_pages"
end() {
	rm -f "$counts"
	[ -z "$late_pages_before" ] || echo "$late_pages_before" >"$late_pages"
}
trap end EXIT

# A program that cannot even be judged is a failure.
fail() {
	failed=$((failed + 1))
	number=$((number + 1))
	echo "not ok $number $1 # $2"
}

# What a kernel may honestly lack. The project's own ones, which have a name,
# lack two things, and the debug kernel, which exists for those, nothing.
excuses() {
	[ "$IOIPC_VARIANT" != debug ] || return
	printf '%s\n' "kernel without CONFIG_FAULT_INJECTION" \
		"kernel without CONFIG_MEM_ALLOC_PROFILING"
	[ -n "$IOIPC_VARIANT" ] ||
		printf '%s\n' "kernel without CONFIG_IPC_NS" \
			"kernel without CONFIG_USERFAULTFD" \
			"no memory controller in cgroup2"
}

# run_one PROGRAM SECONDS LABEL [ROLE [OPTION...]]: of that time kernels with checks
# get more. No role, or an empty one, is root. Options are the harness's: -t TEST for
# that one only, -T TEST for all but it.
run_one() {
	program=$1
	limit=$(($2 * slowness))
	label=$3
	role=${4-}
	if [ $# -gt 4 ]; then shift 4; else shift $#; fi
	only=$*

	if [ ! -x "$dir/$program" ]; then
		fail "$label" "not built"
		return
	fi
	set -- -t "$limit" -c "$counts"
	[ -z "$role" ] || set -- "$@" -r "$role"
	while IFS= read -r reason; do
		[ -n "$reason" ] && set -- "$@" -s "$reason"
	done <<-END
	$(excuses)
	END
	echo "# $label"
	: > "$counts"
	start=$(date +%s)
	# shellcheck disable=SC2086 # names of tests
	"$dir/supervise" "$@" "$dir/$program" $only
	status=$?
	seconds=$(($(date +%s) - start))
	if ! read -r good bad skipped < "$counts"; then
		fail "$label" "supervise ended with $status"
		return
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	number=$((number + 1))
	[ "$skipped" -eq 0 ] || good="$skipped skipped, $good"
	if [ "$bad" -eq 0 ]; then
		echo "ok $number $label # $good passed, $seconds s"
	else
		echo "not ok $number $label # $good passed, $bad failed, $seconds s"
	fi
}

# run_without_rights PROGRAM [OPTION...]: as a user, and as root of a container.
run_without_rights() {
	tested=$1
	shift
	run_one "$tested" 120 "$tested as a user" user "$@"
	run_one "$tested" 120 "$tested as root of a container" container "$@"
}

# run_parted PROGRAM TEST...: these need root, to be others or to have much; all
# others run without rights.
run_parted() {
	parted=$1
	shift
	# shellcheck disable=SC2046 # names of tests
	run_one "$parted" 120 "$parted" '' $(printf -- '-t %s ' "$@")
	# shellcheck disable=SC2046
	run_without_rights "$parted" $(printf -- '-T %s ' "$@")
}

loaded() {
	grep -q "^$name " /proc/modules
}

# supervised COMMAND [ARGUMENT]...: as a test that succeeds if it does, and if
# the kernel does not complain.
supervised() {
	"$dir/supervise" -t $((120 * slowness)) /bin/sh -c '
		echo 1..1
		if "$@"; then
			echo "ok 1 $*"
		else
			echo "not ok 1 $*"
			exit 1
		fi' sh "$@"
}

# load LABEL MODULE [PARAMETER]: have this module loaded, and no other one.
load() {
	label=$1
	shift
	if [ ! -f "$1" ]; then
		fail "$label" "IOIPC_MODULE or IOIPC_TEST_MODULE names no module"
		return 1
	fi
	if loaded && ! supervised rmmod "$name"; then
		fail "$label" "unloading the module failed"
		return 1
	fi
	if ! supervised insmod "$@"; then
		fail "$label" "loading the module failed"
		return 1
	fi
}

# kunit_suites has the names of all suites in the module's source: each of them
# has to be there.
check_suites() {
	n=0
	while read -r suite; do
		n=$((n + 1))
		[ -e "/sys/kernel/debug/kunit/$suite/results" ] ||
			fail "$suite" "the suite is not in the module"
	done <"$dir/kunit_suites"
	[ "$n" -ne 0 ] || fail "kunit suites" "none is known"
}

# The suites in the module itself run when it is loaded. Each case is a line
# "ok" or "not ok" in the results, and each suite says how many it has. None has
# a reason to be skipped.
run_kunit() {
	load kunit "$IOIPC_TEST_MODULE" || return
	check_suites
	results=$(cat /sys/kernel/debug/kunit/"$name"_*/results 2>/dev/null)
	good=$(printf '%s\n' "$results" | grep -E '^    ok [0-9]' | grep -cv '# SKIP')
	bad=$(printf '%s\n' "$results" | grep -cE '^    (not ok [0-9]|ok [0-9].*# SKIP)')
	planned=$(printf '%s\n' "$results" | sed -n 's/^    1\.\.//p' | awk '{ n += $1 } END { print n + 0 }')
	passed=$((passed + good))
	failed=$((failed + bad))
	number=$((number + 1))
	if [ "$bad" -ne 0 ]; then
		printf '%s\n' "$results" | sed 's/^/# /'
		echo "not ok $number kunit # $good passed, $bad failed"
	else
		echo "ok $number kunit # $good passed"
	fi
	if [ "$planned" -eq 0 ] || [ $((good + bad)) -ne "$planned" ]; then
		fail "kunit plan" "$((good + bad)) of $planned cases"
	fi
	# The kernel's threads close files by way of a work queue.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(cat "/sys/module/$name/refcnt")" = 0 ] && break
		sleep 1
	done
	load kunit "$IOIPC_MODULE"
}

# Once more with positions that start shortly before 2^32.
run_wrap() {
	# 2^32 - 8 and - 5: where the ring of 8 wraps as well, and where not.
	for first in 4294967288 4294967291; do
		load "wrap from $first" "$IOIPC_TEST_MODULE" "first_position=$first" || break
		IOIPC_FIRST_POSITION=$first
		export IOIPC_FIRST_POSITION
		run_one wrap 60 "wrap from $first"
		unset IOIPC_FIRST_POSITION
	done
	load wrap "$IOIPC_MODULE"
}

# With limits that a test can reach.
run_limits() {
	load limits "$IOIPC_MODULE" max_user_channels=4 max_subscribers=3 &&
		run_one limits 60 limits
	load limits "$IOIPC_MODULE"
}

# Tests that unload and load the module.
run_reloading() {
	if [ ! -f "$IOIPC_MODULE" ]; then
		fail "$1" "IOIPC_MODULE names no module"
		return
	fi
	run_one "$1" "$2" "$1"
	loaded || supervised insmod "$IOIPC_MODULE" ||
		fail "$1" "loading the module again failed"
}

# Ten minutes, and more in proportion where many messages are asked for.
run_stress() {
	run_one stress_wait $((600 + ${IOIPC_STRESS:-2000} / 50)) stress_wait
}

export IOIPC_MODULE

echo "KTAP version 1"
if ! loaded; then
	echo "Bail out! $name is not loaded"
	echo "0 passed, 1 failed"
	exit 1
fi

for test in $tests; do
	case $test in
	kunit)	run_kunit ;;
	wrap)	run_wrap ;;
	limits)	run_limits ;;
	unload)	run_reloading unload $((120 + ${IOIPC_CYCLES:-15} * 3)) ;;
	leak)	run_reloading leak 120 ;;
	basic | delivery | handon | layouts | multishot | poll | wait)
		run_one "$test" 120 "$test as a user" user ;;
	# Those that try what is forbidden, or have others wait for them.
	buffers | cancel | fault | flags | mmap | params)
		run_without_rights "$test" ;;
	late)	run_parted late send_when_the_mode_has_changed \
			receive_when_the_mode_has_changed attach_when_the_mode_has_changed ;;
	lifetime)	run_parted lifetime thousand_channels ;;
	send_wait)	run_parted send_wait one_user_does_not_crowd_the_door ;;
	presence) run_one presence 120 presence
		run_without_rights presence -t who_does_not_read -t visitors \
			-t can_be_detached_when_told
		;;
	fail_*)	run_one "$test" 360 "$test" ;;
	stress_wait)	run_stress ;;
	lossy)	run_one lossy $((120 + ${IOIPC_LOSSY:-0} / 5000)) "lossy as a user" user ;;
	*)	run_one "$test" 120 "$test" ;;
	esac
done

echo "1..$number"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
