"""This service's agents, one file per team. You edit these: plain data, no code that runs."""
