#!/usr/bin/env bash
# Every fuzz target for a while: tools/fuzz.sh 30s, or 2000x for a number of inputs. What it
# finds lies under testdata/fuzz of the package; keep it there, the ordinary tests run it.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' runtime services gateway | while read -r file; do
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9]+)\(.*/\1/p' "$file"); do
		echo "$target in $(dirname "$file")"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-30s}" "./$(dirname "$file")"
	done
done
