"""The ways to a model, against a server that answers what a test has written down."""
