"""The blob trigger."""
