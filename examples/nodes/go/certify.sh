#!/usr/bin/env bash
# Builds the node, runs its own tests, and lets `consilience-conformance` judge it over TLS, with and without scripts.
# GO names the Go to use, `go` where it is not set; what further arguments there are go to the judge (`--out report`).
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
go=${GO:-go}
"$go" generate
unformatted=$("$("$go" env GOROOT)/bin/gofmt" -l .)
[[ -z $unformatted ]] || { printf 'gofmt would change:\n%s\n' "$unformatted" >&2; exit 1; }
"$go" vet ./...
"$go" test ./...
"$go" build -o build/ . ./cmd/...
PATH=$PWD/build:$PATH

scratch=$(mktemp -d)
units --address 127.0.0.1:0 --key "$scratch/root.key" --tls --conformance --drain 1s > "$scratch/address" &
node=$!
trap 'kill "$node" 2>/dev/null; wait "$node" || true; rm -rf "$scratch"' EXIT
while [[ ! -s $scratch/address ]]; do
  kill -0 "$node" # it has ended: its own words stand above
  sleep 0.05
done

consilience-conformance vectors --exec vector-executor
mapfile -t testers < <(consilience-conformance tester --key "$scratch/tester.key")
grant --key "$scratch/root.key" --output "$scratch/grant.binpb" "${testers[@]}"
cd "$called_from"
consilience-conformance run "$(<"$scratch/address")" --question "How many feet are 12 inches?" \
  --grant "$scratch/grant.binpb" --tester-key "$scratch/tester.key" "$@"
