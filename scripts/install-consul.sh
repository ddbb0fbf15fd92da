#!/bin/sh
# Builds Consul into .cache/consul from its Go module, for the tests of ConsulResolver and Connect, where it is missing.
# Needs Go. The version is pinned: the newest whose module still builds as one (3 minutes and 1 GB of Go's caches, once).
set -eu
version=1.12.9
root="$(cd "$(dirname "$0")/.." && pwd)"
directory="$root/.cache/consul"
binary="$directory/consul"
if [ -x "$binary" ] && [ "$(cat "$directory/version" 2>/dev/null)" = "$version" ]; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  echo "install-consul: Go is needed (https://go.dev/dl/, Debian: apt-get install golang-go)." >&2
  exit 1
fi
echo "install-consul: Consul $version into .cache/consul, built from source: some minutes" >&2
work="$(mktemp -d)"
trap 'kill "$ticker" 2>/dev/null || true; chmod -R u+w "$work"; rm -rf "$work"' EXIT
(while sleep 30 >/dev/null 2>&1; do echo "install-consul: still building" >&2; done) &
ticker=$!
# An empty module: Consul's own go.mod replaces modules, which `go install PACKAGE@VERSION` refuses.
cd "$work"
export CGO_ENABLED=0
if ! { go mod init consul-for-tests && go get "github.com/hashicorp/consul@v$version" &&
  nice -n 15 go build -p 2 -mod=mod -o consul github.com/hashicorp/consul; } >"$work/log" 2>&1; then
  tail -n 20 "$work/log" >&2
  echo "install-consul: the build failed (above). It needs Go's module proxy (GOPROXY) and a writable Go cache." >&2
  exit 1
fi
./consul version >/dev/null
mkdir -p "$directory"
mv consul "$binary"
printf '%s' "$version" >"$directory/version"
echo "install-consul: done" >&2
