"""A long mixed load on processes that are killed, stopped and cut off, and an audit of the rest.

Run: python -m tests.soak [--minutes 30] [--seed N]; `make soak` does the same.
"""
