"""Decides which requests the offline model answers with a fault, the same in each run."""

import random
from collections.abc import Mapping

KINDS = ("400", "429", "500", "timeout", "drop", "malformed")


def parse_faults(text: str) -> dict[str, float]:
    """Read `kind:rate,kind:rate` into the share of requests that meets each kind.

    Raises:
        ValueError: The text is not of that form; the message says what is wrong.
    """
    rates: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        kind, separator, rate_text = (piece.strip() for piece in pair.partition(":"))
        if not separator:
            raise ValueError(f"{pair!r} is not of the form kind:rate, like 500:0.1")
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r}; the kinds are {', '.join(KINDS)}")
        if kind in rates:
            raise ValueError(f"the kind {kind} is given twice")
        rates[kind] = _rate(kind, rate_text)
    # Rates like 0.1 + 0.2 + 0.7 add up to a little more than 1.
    if sum(rates.values()) > 1 + 1e-9:
        raise ValueError("the rates together are more than 1")
    return rates


def _rate(kind: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"the rate of {kind}, {text!r}, is not a number") from None
    if not 0 <= rate <= 1:  # also false for NaN
        raise ValueError(f"the rate of {kind} must be from 0 to 1, and is {text}")
    return rate


class FaultPlan:
    """Draws a fault, or none, for one request after the other."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        self._rates = dict(rates)
        self._random = random.Random(seed)

    def draw(self) -> str | None:
        """Return the kind of fault that the next request meets, or None."""
        drawn = self._random.random()
        for kind, rate in self._rates.items():
            if drawn < rate:
                return kind
            drawn -= rate
        return None
