"""Texts that can be stored and sent: JSON can carry halves of surrogate pairs, UTF-8 cannot."""

from typing import Any, cast


def sound(text: str) -> str:
    """Return the text with surrogate pairs joined and single halves replaced by `U+FFFD`."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def sound_data(value: Any) -> Any:
    """Return JSON data with every text in it made sound."""
    match value:
        case str():
            return sound(value)
        case dict():
            members = cast("dict[str, Any]", value)
            return {sound(name): sound_data(member) for name, member in members.items()}
        case list() | tuple():
            return [sound_data(item) for item in cast("list[Any]", value)]
        case _:
            return value
