"""Speaks the Durable Task protocol: gRPC in, transactions and work items out."""
