"""The parts of the runtime as processes: started, watched, restarted, stopped."""
