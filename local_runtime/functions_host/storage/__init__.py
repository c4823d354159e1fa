"""Azure Storage: which account a binding means, and what goes in and out of a function."""
