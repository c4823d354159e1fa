"""Histories that the runtime has written, and that every later version of the code must replay."""
