"""The path of a request: made plain once, at the front door, the way Kestrel does it.

Who asks for what is decided by the path, so all that decide must see the same one.
"""

import re
from urllib.parse import unquote

from starlette.types import Scope

_DOT_SEGMENT = re.compile(rb"(?:\.|%2[eE]){1,2}")
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


class BadPath(Exception):
    """The path cannot be meant: it holds a null character."""


def clean_path(scope: Scope) -> None:
    """Follow the `.` and `..` of a path, encoded or not, within the scope of a request.

    Raises:
        BadPath: It holds an encoded null character.
    """
    raw: bytes = scope["raw_path"]
    if b"%00" in raw:
        raise BadPath("The path holds a null character")
    if not (b"/." in raw or b"/%2" in raw):
        return
    kept: list[bytes] = []
    segments = raw.split(b"/")[1:]
    for segment in segments:
        if _DOT_SEGMENT.fullmatch(segment) is None:
            kept.append(segment)
        elif len(segment.lower().replace(b"%2e", b".")) > 1 and kept:
            kept.pop()
    if _DOT_SEGMENT.fullmatch(segments[-1]) is not None:
        kept.append(b"")
    scope["raw_path"] = b"/" + b"/".join(kept)
    scope["path"] = unquote(scope["raw_path"].decode("latin-1"))


def decoded(raw_path: str) -> str:
    """Return a path decoded, but for what would change its meaning or is no text.

    An encoded slash stays encoded, so that it does not divide a parameter.
    """
    return _ENCODED.sub(_decode, raw_path) if "%" in raw_path else raw_path


def _decode(found: re.Match[str]) -> str:
    parts = re.split("(%2[fF])", found[0])
    return "".join(
        part if index % 2 else _text(bytes.fromhex(part.replace("%", "")))
        for index, part in enumerate(parts)
    )


def _text(encoded: bytes) -> str:
    # What is not UTF-8 comes out as lone surrogates, and is written again as it came.
    text = encoded.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)
