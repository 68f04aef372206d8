#!/usr/bin/env bash
# All static checks over the workspace, tests behind build tags included; each runs
# even if one before it failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.bin:$PATH
status=0

mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.go' ':!proto/gen')
unformatted=$(gofmt -l "${files[@]}") || status=1
if [ -n "$unformatted" ]; then
	printf 'lint: not formatted, run gofmt -w:\n%s\n' "$unformatted" >&2
	status=1
fi
go vet -tags testdata,faults,bench,long,crash work || status=1
staticcheck -tags testdata,faults,bench,long,crash work || status=1
(cd tools && GOWORK=off go vet ./... && GOWORK=off go test ./...) || status=1
buf lint || status=1
exit $status
