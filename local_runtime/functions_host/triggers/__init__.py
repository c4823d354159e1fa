"""What invokes functions without a request: listeners for queues and blobs."""
