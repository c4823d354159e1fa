"""Reads a settings file that holds one JSON object."""

import json
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError


def read_json(path: Path) -> dict[str, Any]:
    """Return what the file holds; an absent file is an empty object.

    Raises:
        StartupError: It cannot be read, or is no JSON object.
    """
    try:
        # utf-8-sig: editors on Windows begin the file with a byte order mark.
        document: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise StartupError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise StartupError(f"{path} must hold a JSON object ({{...}}) at its top.")
    return cast("dict[str, Any]", document)
