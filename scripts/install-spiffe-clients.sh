#!/bin/sh
# Installs workloads that are not ours into .cache/spiffe, for the tests of the SPIFFE Workload API, where they are missing:
# test/support/spiffe-client on go-spiffe (needs Go), and PyPI's `spiffe` (needs python3 with venv). Versions are pinned.
set -eu
python_version=0.3.2
root="$(cd "$(dirname "$0")/.." && pwd)"
directory="$root/.cache/spiffe"
sources="$root/test/support/spiffe-client"
stamp="$python_version $(cat "$sources/main.go" "$sources/go.mod" "$sources/go.sum" | cksum)"
if [ "$(cat "$directory/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  echo "install-spiffe-clients: Go is needed (https://go.dev/dl/, Debian: apt-get install golang-go)." >&2
  exit 1
fi
if ! python3 -c "import venv, ensurepip" 2>/dev/null; then
  echo "install-spiffe-clients: python3 with venv is needed (Debian: apt-get install python3-venv)." >&2
  exit 1
fi
echo "install-spiffe-clients: go-spiffe and PyPI's spiffe into .cache/spiffe" >&2
rm -rf "$directory"
mkdir -p "$directory"
(cd "$sources" && go build -o "$directory/spiffe-client" .)
python3 -m venv "$directory/python"
"$directory/python/bin/pip" install --quiet --disable-pip-version-check "spiffe==$python_version"
printf '%s' "$stamp" >"$directory/stamp"
