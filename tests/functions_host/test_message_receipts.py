"""A message is settled once and for good, whatever is on the wire in that moment."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest
from azure.storage.queue import QueueMessage
from azurite_gate import Doing, Gate, gate_before
from storage_answers import until

from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.triggers.listener import Listeners
from local_runtime.functions_host.triggers.storage_blob.blob_scan import BlobScan
from local_runtime.functions_host.triggers.storage_blob.receipts import Receipts
from local_runtime.functions_host.triggers.storage_queue.queue_listener import QueueListener
from local_runtime.settings import QueueSettings

PATIENCE = 60
HIDDEN = 6


class Held:
    """A queue with one message, seen through a gate, and how often its function began."""

    def __init__(self, gate: Gate, accounts: StorageAccounts, name: str) -> None:
        service = gate.behind.queues()
        self.gate = gate
        self.queue = service.get_queue_client(name)
        self.poison = service.get_queue_client(f"{name}-poison")
        for client in (self.queue, self.poison):
            client.create_queue()
        self.queue.send_message("one")
        self.taken: list[int] = []
        self.worked = asyncio.Event()
        self.ended = asyncio.Event()
        self._seen = MessageQueue(accounts, accounts.queues("C").get_queue_client(name))
        self._poison = MessageQueue(accounts, self.poison)

    def listener(
        self, *, succeeds: bool, until_held: bool = True, without_end: bool = False
    ) -> QueueListener:
        """Its function goes on until the gate holds something, and then ends, or does not."""

        async def work(message: QueueMessage) -> bool:
            self.taken.append(message.dequeue_count)
            if until_held:
                await asyncio.to_thread(self.gate.wait_until_held)
            self.worked.set()
            try:
                if without_end:
                    await asyncio.Event().wait()
            finally:
                self.ended.set()
            return succeeds

        settings = QueueSettings(max_dequeue_count=1, longest_pause_seconds=0.1)
        return QueueListener(self._seen, self._poison, work, settings, hidden_seconds=HIDDEN)


@contextlib.asynccontextmanager
async def held(azurite, test: str, verb: str, doing: Doing, cuts: int = 1) -> AsyncIterator[Held]:
    name = "q" + hashlib.sha256(test.encode()).hexdigest()[:20]
    request = f"{verb} /devstoreaccount1/{name}/messages/".encode()
    with gate_before(azurite, request, doing, queues=True, cuts=cuts) as gate:
        async with StorageAccounts({"C": gate.account.connection_string}) as accounts:
            yield Held(gate, accounts, name)


@pytest.fixture
def name(request) -> str:
    return request.node.name


@pytest.mark.parametrize("doing", ["hold", "hold answer"])
@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_message_whose_renewal_is_on_the_wire_when_its_function_ends_is_gone_after_it(
    azurite, name, doing, succeeds
):
    async with held(azurite, name, "PUT", doing) as one, asyncio.timeout(PATIENCE):
        async with Listeners([one.listener(succeeds=succeeds)]) as listeners:
            await one.worked.wait()
            one.gate.open()
            await listeners.drain(PATIENCE)

        assert one.queue.get_queue_properties().approximate_message_count == 0
        assert len(list(one.poison.receive_messages())) == (0 if succeeds else 1)
        assert one.taken == [1]


@pytest.mark.parametrize("cuts", [1, 2])
async def test_a_message_whose_renewal_was_not_answered_is_not_worked_on_again(azurite, name, cuts):
    async with held(azurite, name, "PUT", "cut answer", cuts) as one, asyncio.timeout(PATIENCE):
        async with Listeners([one.listener(succeeds=True)]):
            await asyncio.to_thread(until, lambda: is_empty(one.queue))

        assert one.taken == [1]
        assert is_empty(one.poison)


async def test_a_message_that_went_to_the_poison_queue_goes_there_once(azurite, name):
    async with held(azurite, name, "DELETE", "cut answer", 2) as one, asyncio.timeout(PATIENCE):
        listener = one.listener(succeeds=False, until_held=False)
        async with Listeners([listener]) as listeners:
            await one.worked.wait()
            await listeners.drain(PATIENCE)

        assert len(list(one.poison.receive_messages())) == 1


async def test_a_message_that_is_given_back_while_it_is_renewed_is_shown_at_once(azurite, name):
    async with held(azurite, name, "PUT", "hold answer") as one, asyncio.timeout(PATIENCE):
        listener = one.listener(succeeds=True, without_end=True)
        async with Listeners([listener]) as listeners:
            await one.worked.wait()
            drained = asyncio.create_task(listeners.drain(0))
            await one.ended.wait()
            one.gate.open()
            await drained

        assert len(list(one.queue.receive_messages())) == 1


async def test_a_blob_whose_receipt_was_not_answered_is_handed_over_once(azurite):
    held_requests = b"PUT /devstoreaccount1/azure-webjobs-hosts/blobreceipts/"
    container = azurite.blobs().get_container_client("handed-over")
    container.create_container()
    container.upload_blob("one", b"")
    notes: list[str] = []
    with gate_before(azurite, held_requests, "cut answer", cuts=2) as gate:
        async with StorageAccounts({"C": gate.account.connection_string}) as accounts:
            kept = accounts.blobs("C").get_container_client("azure-webjobs-hosts")
            receipts = Receipts(kept, "host", "function")
            scan = BlobScan(
                "function", BlobPattern.parse("handed-over/{name}"), container, receipts,
                lambda task: notes.append(task.name), accounts, 0.1,
            )  # fmt: skip
            async with Listeners([scan]), asyncio.timeout(PATIENCE):
                await asyncio.to_thread(until, lambda: len(receipts.load()) == 1)
                container.upload_blob("two", b"")
                await asyncio.to_thread(until, lambda: "two" in notes)

    assert notes == ["one", "two"]


def is_empty(queue) -> bool:
    return queue.get_queue_properties().approximate_message_count == 0
