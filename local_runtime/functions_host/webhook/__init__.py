"""The durabletask webhook: the HTTP interface through which people start and manage instances."""
