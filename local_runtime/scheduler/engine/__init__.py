"""Decides, and does nothing else: no I/O, no clock, no locks. Storage commits what it returns."""
