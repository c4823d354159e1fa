"""Reads the input that is given to `run` on the command line, and checks that it is JSON."""

import json
from pathlib import Path

from local_runtime.errors import StartupError


def read_input(text: str) -> str:
    """Return the JSON text that `text` is, or that the file `@file` holds.

    Raises:
        StartupError: The file cannot be read, or the text is not JSON.
    """
    source = "--input"
    if text.startswith("@"):
        path = Path(text[1:])
        source = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StartupError(f"the input file {path} cannot be read: {reason}.") from error
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise StartupError(
            f"{source} is not valid JSON: {error.msg} at line {error.lineno}, column "
            f"{error.colno}. A plain text needs double quotes inside: --input '\"text\"'."
        ) from error
    except RecursionError as error:
        raise StartupError(f"{source} is nested too deeply.") from error
    except ValueError as error:
        raise StartupError(f"{source} is not valid JSON: {error}.") from error
    return text


def _refuse_constant(name: str) -> object:
    # Python's parser accepts NaN and Infinity, which JSON does not know.
    raise ValueError(f"{name} is not a JSON value")
