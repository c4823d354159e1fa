"""Moments in the forms that the webhook reads and writes."""

import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def parse(text: str | None) -> Timestamp | None:
    """Read a moment from a query string; None for what is no date. Without a zone it is UTC."""
    if not text:
        return None
    # A `+` that was not escaped in the URL has become a space; Python writes the year 1 as `1`.
    text = re.sub(r" (?=\d\d:?\d\d$)", "+", text.strip())
    text = re.sub(r"^\d{1,3}(?=-)", lambda year: year[0].zfill(4), text)
    try:
        moment = datetime.fromisoformat(text)
        stamp = Timestamp()
        stamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
    return stamp


def seconds(stamp: Timestamp) -> str:
    """Write a moment with whole seconds."""
    return f"{stamp.ToDatetime():%Y-%m-%dT%H:%M:%SZ}"


def exact(stamp: Timestamp) -> str:
    """Write a moment with its fraction of a second, as histories show it."""
    return f"{stamp.ToDatetime():%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"
