"""The app: loaded, its functions indexed, and one of them invoked."""
