"""The laws of sessions."""
