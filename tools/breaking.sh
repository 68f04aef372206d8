#!/usr/bin/env bash
# breaking.sh [BASE]: fails where the contracts break those of BASE. Without BASE:
# the point where HEAD left origin/main, if it did; else the newest ancestor at
# least four hours older than HEAD, because commits of one piece of work land
# together and may change among themselves what nobody has used yet.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.bin:$PATH

base=${1:-}
if [ -z "$base" ] && git rev-parse -q --verify origin/main >/dev/null; then
	base=$(git merge-base HEAD origin/main)
	[ "$base" != "$(git rev-parse HEAD)" ] || base=
fi
if [ -z "$base" ] && git rev-parse -q --verify HEAD >/dev/null; then
	base=$(git rev-list -1 --before="$(($(git log -1 --format=%ct) - 4 * 3600))" HEAD)
fi
if [ -z "$base" ]; then
	echo "breaking: nothing has landed before HEAD, nothing to compare with"
	exit 0
fi
git rev-parse -q --verify "$base^{commit}" >/dev/null || { echo "breaking: no commit $base" >&2; exit 2; }
if [ -z "$(git ls-tree -r --name-only "$base" proto/kefu)" ]; then
	echo "breaking: $base has no contracts, nothing to compare with"
	exit 0
fi

# The clone that buf would make has no third_party, so the baseline is laid out here.
baseline=$(mktemp -d)
trap 'rm -rf "$baseline"' EXIT
git archive "$base" proto/kefu | tar -x -C "$baseline"
cp buf.yaml "$baseline"
cp -r third_party "$baseline"
buf breaking --against "$baseline"
echo "breaking: compatible with $(git rev-parse --short "$base")"
