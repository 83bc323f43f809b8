#!/usr/bin/env bash
# Installs the Debian packages named as arguments that are missing. Where it can't (no apt, no root) it says
# what to install, and fails only if CI=true. Services that a new package starts are stopped again: the
# tests start programs of their own, on ports of their own.
set -euo pipefail

missing=()
for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed: ${missing[*]}. As root on Debian: apt-get install ${missing[*]}" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" </dev/null
for package in orthanc postgresql nginx-light; do
    if [[ " ${missing[*]} " == *" $package "* ]]; then
        service "${package%-light}" stop >/dev/null 2>&1 || true
    fi
done
