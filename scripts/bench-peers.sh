#!/bin/sh
# Makes .tools/bench-peers, the environment of the benchmark's peers; nothing when it is up to date.
set -eu
cd "$(dirname "$0")/.."
venv=.tools/bench-peers
wanted=$(cat bench/peers/requirements.txt .python-version | cksum | tr -d ' ')
stamp="$venv/.ready-$wanted"
[ -f "$stamp" ] && exit 0

echo "Setting up $venv ..." >&2
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" -r bench/peers/requirements.txt
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
fi
: > "$stamp"
echo "Ready." >&2
