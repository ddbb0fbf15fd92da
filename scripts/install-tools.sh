#!/bin/sh
# Installs what `npm run bench` compares with and loads with, where it is missing: Debian or Ubuntu, as root or with sudo.
set -eu

missing=""
# tool:package
for pair in nginx:nginx haproxy:haproxy wrk:wrk h2load:nghttp2-client ip:iproute2; do
  tool="${pair%%:*}"
  command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || missing="$missing ${pair#*:}"
done
if [ -z "$missing" ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-tools: no apt-get here; install these by other means:$missing" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
echo "install-tools: installing$missing" >&2
$as_root apt-get update -q
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
# The packages start their services; the benchmark runs its own processes.
if [ -d /run/systemd/system ]; then
  for package in $missing; do
    case "$package" in
      nginx | haproxy) $as_root systemctl disable --now "$package" ;;
    esac
  done
fi
