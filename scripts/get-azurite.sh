#!/bin/sh
# Puts Azurite, the storage emulator, into .tools/azurite for the tests and prints the script to run
# with node; fetches nothing when it is there already. It is a pinned npm package. Two runs at once
# do not disturb each other: each fetches into a folder of its own, and the first that is done wins.
set -eu
cd "$(dirname "$0")/.."
wanted=$(cat scripts/azurite/package-lock.json | cksum | tr -d ' ')
target=.tools/azurite/$wanted
program=$target/node_modules/azurite/dist/src/azurite.js

if [ ! -f "$program" ]; then
    for tool in node npm; do
        command -v "$tool" >/dev/null 2>&1 || {
            echo "error: $tool is needed to fetch and run Azurite, and was not found." >&2
            exit 1
        }
    done
    echo "Fetching Azurite for the tests ..." >&2
    mkdir -p "$target"
    package=$(mktemp -d "$target/package.XXXXXX")
    trap 'rm -rf "$package"' EXIT
    cp scripts/azurite/package.json scripts/azurite/package-lock.json "$package/"
    # From inside: with --prefix, npm does not find its lock file below a symbolic link.
    (cd -P "$package" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || {
        echo "error: Azurite's package could not be fetched." >&2
        exit 1
    }
    # One step, which fails when another run was faster: then that one's is as good.
    mv "$package/node_modules" "$target/" 2>/dev/null || [ -f "$program" ]
fi
echo "$program"
