"""A long mixed load on a scheduler that is killed over and over, and an audit of what is left.

Run: python -m tests.soak [--minutes 30] [--seed N]; `make soak` does the same.
"""
