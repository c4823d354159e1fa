"""The command line of the soak."""

import argparse
import asyncio
import logging
import secrets
import sys

from tests.ports import free_port
from tests.soak.report import table
from tests.soak.run import Settings, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of load and kills")
    parser.add_argument("--seed", type=int, default=None, help="of everything random")
    parser.add_argument("--rate", type=float, default=15.0, help="scenarios started in a second")
    parser.add_argument("--every", type=float, default=8.0, help="seconds from death to death")
    parser.add_argument("--burst", type=int, default=500, help="starts at once, each minute")
    parser.add_argument("--largest-burst", type=int, default=4000, help="once in the middle")
    given = parser.parse_args()
    # Calls whose callers have gone are no news here.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    seed = given.seed if given.seed is not None else secrets.randbelow(2**31)
    settings = Settings(
        *(seed, given.minutes * 60, given.rate),
        every=given.every,
        burst=given.burst,
        largest_burst=given.largest_burst,
    )
    print(f"soak of {given.minutes:g} minutes, --seed {seed}", file=sys.stderr)
    result = asyncio.run(soak(settings, free_port()))
    print(table(result))
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
