"""Management over HTTP: /admin/host and /admin/functions."""
