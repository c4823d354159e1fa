"""What invokes functions without a request: listeners for timers, queues and blobs."""
