#!/usr/bin/env bash
# Fetches OHIF's built pages from npm, for the tests that look at results in a real viewer. It does nothing
# where they are there already, and where npm is missing it says so, and fails only if CI=true.
set -euo pipefail

version=3.13.2
folder=${DICOM_NODE_OHIF:-$(dirname "$0")/../.cache/ohif-$version}
[ ! -f "$folder/package/dist/index.html" ] || exit 0

command -v npm >/dev/null || "$(dirname "$0")/install-debian.sh" npm
if ! command -v npm >/dev/null; then
    echo "OHIF's pages are not there, and npm is not installed to fetch them." >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi

mkdir -p "$folder"
cd "$folder"
npm pack --silent "@ohif/app@$version" >/dev/null
tar -xzf "ohif-app-$version.tgz"
rm "ohif-app-$version.tgz"
