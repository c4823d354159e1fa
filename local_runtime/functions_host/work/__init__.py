"""Work items: pulled from the scheduler, run by the app's functions, answered."""
