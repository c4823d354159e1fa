"""The queue listener by itself, on a real queue: how much it takes, how long that is hidden."""

import asyncio
import contextlib

import pytest
from azure.storage.queue import QueueMessage
from storage_answers import until

from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.triggers.listener import Listeners
from local_runtime.functions_host.triggers.storage_queue.queue_listener import QueueListener
from local_runtime.settings import QueueSettings

PATIENCE = 60


@pytest.fixture
async def queue(azurite, request):
    """A queue of the test's own, and how the listener sees it."""
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    async with StorageAccounts({"C": azurite.connection_string}) as accounts:
        client = accounts.queues("C").get_queue_client(name)
        client.create_queue()
        yield client, MessageQueue(accounts, client)


def see_renewals(message: QueueMessage) -> None:
    """Returns after twice the two seconds for which the message was hidden at first."""
    for _ in range(4):
        receipt = message.pop_receipt
        until(lambda receipt=receipt: message.pop_receipt != receipt)


async def test_a_message_stays_hidden_for_as_long_as_its_function_runs(queue):
    client, message_queue = queue
    client.send_message("long")
    renewed = asyncio.Event()
    taken: list[int] = []

    async def work(message: QueueMessage) -> bool:
        taken.append(message.dequeue_count)
        await asyncio.to_thread(see_renewals, message)
        renewed.set()
        return True

    listener = QueueListener(message_queue, None, work, QueueSettings(), hidden_seconds=2)
    async with Listeners([listener]) as listeners, asyncio.timeout(PATIENCE):
        await renewed.wait()
        await listeners.drain(PATIENCE)

    assert taken == [1]
    assert client.get_queue_properties().approximate_message_count == 0


@pytest.mark.parametrize(("batch", "threshold", "most"), [(1, 0, 1), (2, 0, 2), (2, 2, 4)])
async def test_no_more_run_at_once_than_the_settings_say(azurite, batch, threshold, most):
    async with StorageAccounts({"C": azurite.connection_string}) as accounts:
        client = accounts.queues("C").get_queue_client(f"batches-{batch}-{threshold}")
        client.create_queue()
        for number in range(6):
            client.send_message(str(number))
        done, running, peak = asyncio.Event(), set(), 0
        full = asyncio.Event()

        async def work(message: QueueMessage) -> bool:
            nonlocal peak
            running.add(message.id)
            peak = max(peak, len(running))
            if len(running) == most:
                full.set()
            await full.wait()
            running.discard(message.id)
            left.discard(message.content)
            if not left:
                done.set()
            return True

        left = {str(number) for number in range(6)}
        settings = QueueSettings(batch_size=batch, new_batch_threshold=threshold)
        listener = QueueListener(MessageQueue(accounts, client), None, work, settings)
        async with Listeners([listener]) as listeners, asyncio.timeout(PATIENCE):
            await done.wait()
            await listeners.drain(PATIENCE)

    assert peak == most


async def test_a_failed_message_is_hidden_for_as_long_as_the_settings_say(queue):
    client, message_queue = queue
    client.send_message("later")
    failed = asyncio.Event()

    async def work(message: QueueMessage) -> bool:
        failed.set()
        return False

    settings = QueueSettings(visibility_seconds=3600)
    listener = QueueListener(message_queue, message_queue, work, settings, hidden_seconds=600)
    async with Listeners([listener]) as listeners, asyncio.timeout(PATIENCE):
        await failed.wait()
        await listeners.drain(PATIENCE)

    assert list(client.receive_messages()) == []
    assert client.get_queue_properties().approximate_message_count == 1


async def test_a_fault_of_a_listener_does_not_end_it(caplog):
    again = asyncio.Event()

    class Faulty:
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            if self.runs == 1:
                raise ZeroDivisionError
            again.set()
            await asyncio.Event().wait()

        async def stop(self, grace: float) -> None: ...

    async with Listeners([Faulty()]), asyncio.timeout(PATIENCE):
        with contextlib.suppress(asyncio.CancelledError):
            await again.wait()

    assert "a listener failed" in caplog.text
