"""The worker and the client in one process."""

from durable_agents import chat_client_from_environment
from samples.worker import client
from samples.worker.connection import Connection
from samples.worker.worker import make_worker


def main() -> None:
    """Start the worker, ask its agents, and stop it."""
    with make_worker(Connection.from_environment(), chat_client_from_environment()):
        client.main()


if __name__ == "__main__":
    main()
