"""A Durable Task scheduler: engine/ decides, storage/ remembers, service/ speaks gRPC."""
