"""What the lists of instances and of entities read alike: page size and continuation token."""

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import CONTINUATION_TOKEN, TOP
from local_runtime.functions_host.webhook.replies import bad_argument
from local_runtime.functions_host.webhook.task_hub.paging import (
    LARGEST_PAGE,
    PAGE_SIZE,
    InvalidToken,
    from_header,
)


def page_size(call: Call) -> int:
    """Return how many items the caller wants at most."""
    text = (call.query.get(TOP) or "").strip()
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    return size if 0 < size <= LARGEST_PAGE else PAGE_SIZE


def asked_token(call: Call) -> str:
    """Return the scheduler's token for the page that the caller wants; empty for the first.

    Raises:
        Refused: The token is none that this host gave.
    """
    try:
        return from_header(call.header(CONTINUATION_TOKEN) or "")
    except InvalidToken as problem:
        raise bad_argument(str(problem)) from problem
