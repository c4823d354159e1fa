"""Remembers, in one SQLite file per task hub: each function here is one step of a transaction."""
