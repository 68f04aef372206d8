#!/usr/bin/env bash
# Every fuzz target for a while: tools/fuzz.sh 30s, or 500x for a number of inputs. What it
# finds lies under testdata/fuzz of the package; keep it there, the ordinary tests run it.
# RACE=1 with the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
for_time=${1:-30s}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A number of inputs is too short for coverage to lead anywhere, and what is built to measure it
# takes minutes: the build of the ordinary tests does, which is there already.
fuzz() {
	local target=$1 dir=$2
	if [[ $for_time == *x ]]; then
		(cd "$dir" && "$work/tests" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$for_time" -test.fuzzcachedir "$work/cache")
	else
		go test ${RACE:+-race} -run '^$' -fuzz "^$target\$" -fuzztime "$for_time" "./$dir"
	fi
}
grep -rlE '^func Fuzz' --include='*_test.go' runtime services gateway | while read -r file; do
	dir=$(dirname "$file")
	if [[ $for_time == *x ]]; then
		go test ${RACE:+-race} -c -o "$work/tests" "./$dir"
	fi
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9]+)\(.*/\1/p' "$file"); do
		echo "$target in $dir"
		fuzz "$target" "$dir"
	done
done
