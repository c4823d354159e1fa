"""The embedded runtime: stands in for Azure on one machine. Never deployed."""
