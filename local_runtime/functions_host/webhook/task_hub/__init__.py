"""The scheduler as the webhook uses it: one typed method for each call."""
