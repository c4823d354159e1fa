#!/bin/sh
# Makes .venv with Python 3.13 and the pinned requirements; does nothing when it is up to date.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
wanted=$(cat requirements.txt requirements-dev.txt .python-version | cksum | tr -d ' ')
stamp="$venv/.ready-$wanted"
[ -f "$stamp" ] && exit 0

is_313() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; }

find_python() {
    if command -v uv >/dev/null 2>&1; then
        # --system: not the .venv that is about to be replaced.
        found=$(uv python find --no-project --system 3.13 2>/dev/null || true)
        if [ -n "$found" ] && is_313 "$found"; then echo "$found"; return 0; fi
    fi
    for candidate in python3.13 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_313 "$candidate"; then
            command -v "$candidate"; return 0
        fi
    done
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python; do
        if [ -x "$candidate" ] && is_313 "$candidate"; then echo "$candidate"; return 0; fi
    done
    return 1
}

if ! python=$(find_python); then
    cat >&2 <<'MESSAGE'
error: Baton needs Python 3.13, and none was found.
Looked for: uv, python3.13, python3, python, and pyenv's versions.
Install one of them, for example:
    uv python install 3.13        (https://docs.astral.sh/uv)
    pyenv install 3.13
    https://www.python.org/downloads
then run the same make command again.
MESSAGE
    exit 1
fi

echo "Setting up $venv with $("$python" --version) ..." >&2
rm -rf "$venv"
"$python" -m venv "$venv"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" -r requirements-dev.txt
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
fi
: > "$stamp"
echo "Ready." >&2
