"""What the command line does: `start` and its banner, `run` and its progress."""
