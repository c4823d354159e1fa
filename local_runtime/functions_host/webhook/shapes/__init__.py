"""The JSON that the webhook shows, its fields and their order; and how it reads JSON and dates."""
