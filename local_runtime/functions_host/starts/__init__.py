"""Starts of orchestrations by functions that may be run again for the same event."""
