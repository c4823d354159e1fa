"""How bytes come in and go out: gRPC calls on the event loop, without a thread between them."""
