"""The scheduler's web page: the instances of each task hub, and the history of each instance."""
