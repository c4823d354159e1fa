"""Reads the offline model's settings out of the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from local_runtime.errors import StartupError
from local_runtime.offline_model.faults import parse_faults

LATENCY, FAULTS, SEED = "OFFLINE_MODEL_LATENCY_MS", "OFFLINE_MODEL_FAULTS", "OFFLINE_MODEL_SEED"
DRIP = "OFFLINE_MODEL_DRIP_MS"
_MAX_LATENCY_MS = 600_000


@dataclass(frozen=True)
class ModelSettings:
    """Where the offline model listens, how slow it is and how often it fails."""

    port: int = 0
    latency_ms: int = 0
    faults: str = ""
    """Pairs `kind:rate` with commas between them, like `500:0.1,429:0.2`."""
    seed: int = 0
    """Decides which requests meet a fault: the same for each run."""
    drip_ms: int = 0
    """How long it is between two pieces of a reply that is streamed."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], port: int) -> Self:
        """Read the settings OFFLINE_MODEL_LATENCY_MS, _FAULTS, _SEED and _DRIP_MS.

        Raises:
            StartupError: One of them makes no sense; the message names it.
        """
        faults = environ.get(FAULTS, "")
        try:
            parse_faults(faults)
        except ValueError as error:
            raise StartupError(f"{FAULTS}={faults!r} makes no sense: {error}.") from error
        latency, drip = _milliseconds(environ, LATENCY), _milliseconds(environ, DRIP)
        return cls(port, latency, faults, _number(environ, SEED), drip)


def _milliseconds(environ: Mapping[str, str], name: str) -> int:
    number = _number(environ, name)
    if not 0 <= number <= _MAX_LATENCY_MS:
        raise StartupError(f"{name}={number} must be from 0 to {_MAX_LATENCY_MS}.")
    return number


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "").strip()
    try:
        return int(text or 0)
    except ValueError as error:
        raise StartupError(f"{name}={text!r} must be a whole number.") from error
