"""The laws of the agent library."""
