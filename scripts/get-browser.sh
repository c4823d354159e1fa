#!/bin/sh
# Puts a Chromium into .tools/browser for the browser tests; does nothing when it is there already.
# Used only where no browser is installed. It comes as a pinned npm package, so that it is fetched
# and checked the way every other dependency is.
set -eu
cd "$(dirname "$0")/.."
target=.tools/browser
wanted=$(cat scripts/browser/package-lock.json scripts/browser/unpack.cjs | cksum | tr -d ' ')
[ -f "$target/.ready-$wanted" ] && exit 0

fail() {
    echo "error: $1" >&2
    echo "Install Chromium or Chrome, or name one with CHROMIUM=/path/to/chromium." >&2
    exit 1
}

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "there is no packaged browser for $(uname -s) on $(uname -m)."
command -v npm >/dev/null 2>&1 || fail "npm is needed to fetch a browser, and was not found."
command -v node >/dev/null 2>&1 || fail "node is needed to unpack the browser, and was not found."

echo "Fetching a browser for the tests ..." >&2
rm -rf "$target"
mkdir -p "$target/package"
cp scripts/browser/package.json scripts/browser/package-lock.json "$target/package/"
# The package wants a newer Node for its own code, of which nothing is run.
npm ci --prefix "$target/package" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
    fail "the browser's package could not be fetched."
node scripts/browser/unpack.cjs "$target/package/node_modules/@sparticuz/chromium/bin" "$target/files" ||
    fail "the browser's package could not be unpacked."
rm -rf "$target/package"
: > "$target/.ready-$wanted"
