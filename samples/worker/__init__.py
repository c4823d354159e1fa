"""Agents on a plain Durable Task worker, without a Functions app."""
