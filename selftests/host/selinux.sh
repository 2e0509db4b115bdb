#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# selinux.sh [VARIANT]: channels under SELinux, with a policy that keeps some
# domains from reading or writing them (see selftests/selinux.c).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

variant=${1-default}
kdir=$("$SCRIPTS/build-kernel" "$variant")
tests=$("$SCRIPTS/build-selftests")
checkpolicy=$("$SCRIPTS/checkpolicy")

mkdir -p "$CACHE/run"
dir=$(mktemp -d "$CACHE/run/selinux.XXXXXX")
trap 'rm -rf -- "$dir"' EXIT
# The kernel's own dummy policy allows base_t everything. Four more domains: they
# may do all that base_t may, but for one thing with its channels, or with their own.
"$SCRIPTS/in-root" -- "$kdir/scripts/selinux/mdp/mdp" "$dir/all.conf" "$dir/contexts"
awk '
	# Options of the policy, of which checkpolicy may not know all.
	/^policycap / { next }
	/^type base_t;/ { print; print "type deaf_t;\ntype mute_t;\ntype firm_t;\ntype poor_t;"; next }
	/^role base_r types/ { print "role base_r types { base_t deaf_t mute_t firm_t poor_t };"; next }
	/^allow base_t base_t:/ {
		print
		class = $3
		sub(/^base_t:/, "", class)
		split("deaf_t read mute_t write firm_t setattr poor_t create", domain, " ")
		for (i = 1; i <= 7; i += 2) {
			but = class == "anon_inode" ? "~{ " domain[i + 1] " }" : "*"
			own = domain[i] == "poor_t"
			printf "allow base_t %s:%s *;\n", domain[i], class
			printf "allow %s %s:%s %s;\n", domain[i], domain[i], class, own ? but : "*"
			printf "allow %s base_t:%s %s;\n", domain[i], class, own ? "*" : but
		}
		next
	}
	{ print }' "$dir/all.conf" >"$dir/policy.conf"
"$SCRIPTS/in-root" -- "$checkpolicy" -U allow -o "$dir/policy" "$dir/policy.conf" >/dev/null

"$SCRIPTS/vm" --variant "$variant" --append 'lsm=selinux enforcing=1' -c "
	mount -t selinuxfs selinuxfs /sys/fs/selinux &&
	cat '$dir/policy' >/sys/fs/selinux/load && '$tests/supervise' '$tests/selinux'"
