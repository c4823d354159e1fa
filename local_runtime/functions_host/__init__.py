"""Loads a function app, pulls its work items, and serves its HTTP functions and the webhook."""
