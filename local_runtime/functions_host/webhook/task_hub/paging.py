"""Pages: tokens that fit into a header, and pages that fit into a message."""

import base64
import binascii
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio

PAGE_SIZE = 100
LARGEST_PAGE = 2**31 - 1


class InvalidToken(Exception):
    """The continuation token is none that this host gave."""


def to_header(token: str) -> str:
    """Return a scheduler's token, which may hold any character of an id, as a header's value."""
    return base64.urlsafe_b64encode(token.encode()).decode()


def from_header(text: str) -> str:
    """Return the scheduler's token.

    Raises:
        InvalidToken: The text is no such header's value.
    """
    try:
        return base64.b64decode(text.encode("ascii"), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidToken("The continuation token is not one that this host gave.") from error


async def fitting_page[Page](fetch: Callable[[int, bool], Awaitable[Page]], size: int) -> Page:
    """Return one page of at most `size` items, fewer if they do not fit into one message.

    Args:
        fetch: Asks for so many items, with their payloads or without.
        size: How many there may be.

    Returns:
        A page; one of a single item that is too large for a message comes without its payloads.
    """
    with_payloads = True
    while True:
        try:
            return await fetch(size, with_payloads)
        except grpc.aio.AioRpcError as problem:
            if problem.code() != grpc.StatusCode.RESOURCE_EXHAUSTED or not with_payloads:
                raise
        # Each try costs as much as the one before: few of them, though a page gets shorter than
        # need be. The scheduler gives at most 1000 whatever is asked for.
        with_payloads = size > 1
        size = max(min(size, 1000) // 8, 1)
