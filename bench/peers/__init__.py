"""Peers that install from PyPI, with the same work; each runs in an environment of its own."""
