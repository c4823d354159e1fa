"""Reads a settings file that holds one JSON object.

As the real host and its tools do, it takes comments and commas after the last item.
"""

import json
import re
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError

_TEXT = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(rf"{_TEXT}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"{_TEXT}|,(?=\s*[\]}}])")


def read_json(path: Path) -> dict[str, Any]:
    """Return what the file holds; an absent file is an empty object.

    Raises:
        StartupError: It cannot be read, or is no JSON object.
    """
    try:
        # utf-8-sig: editors on Windows begin the file with a byte order mark.
        document: object = json.loads(_plain(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise StartupError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError:
        raise StartupError(f"{path} is not valid JSON: it is nested too deeply.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise StartupError(f"{path} must hold a JSON object ({{...}}) at its top.")
    return cast("dict[str, Any]", document)


def _plain(text: str) -> str:
    """Put spaces in the place of comments and last commas; all else keeps its line and column."""
    return _LAST_COMMA.sub(_blank, _COMMENT.sub(_blank, text))


def _blank(found: re.Match[str]) -> str:
    token = found[0]
    return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)
