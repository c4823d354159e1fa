"""Timer triggers: when a function is due, what is kept of that, and the runs themselves."""
