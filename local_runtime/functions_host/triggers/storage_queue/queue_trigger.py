"""The queue trigger: invokes a function of the app for each message of its queue."""

import logging
from collections.abc import Mapping

from azure.storage.queue import QueueMessage

from local_runtime.functions_host.app.function_index import Function
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.triggers.storage_queue.queue_listener import QueueListener
from local_runtime.functions_host.triggers.storage_queue.queue_message import (
    trigger_metadata,
    trigger_value,
)
from local_runtime.settings import QueueSettings, resolve

POISON = "-poison"

logger = logging.getLogger("local_runtime.host")


class QueueTrigger:
    """Invokes one function for messages."""

    def __init__(
        self, function: Function, invoker: Invoker, queue: MessageQueue, *, as_base64: bool
    ) -> None:
        self._function = function
        self._queue = queue
        self._invoker = invoker
        self._as_base64 = as_base64

    async def work(self, message: QueueMessage) -> bool:
        """Invoke the function; whether it succeeded.

        Raises:
            Unreadable: The message is not in the encoding it should be in.
        """
        value = trigger_value(message, as_base64=self._as_base64)
        try:
            await self._invoker.invoke(
                self._function,
                value,
                metadata=trigger_metadata(message, value),
                event=f"{self._queue.address} {message.id}",
            )
        except FunctionTimedOut:
            return False  # it has been logged
        except FunctionFailed as failed:
            logger.error(
                "function %s failed for message %s (try %s): %s\n%s",
                self._function.name,
                message.id,
                message.dequeue_count,
                failed.text,
                failed.stack_trace,
            )
            return False
        return True


def queue_listener(
    function: Function,
    invoker: Invoker,
    accounts: StorageAccounts,
    settings: QueueSettings,
    environ: Mapping[str, str],
) -> QueueListener:
    """Return the listener of a function with a queue trigger.

    Raises:
        StorageProblem: Its account cannot be used.
    """
    name = resolve(str(function.trigger.settings["queueName"]), environ) or ""
    service = accounts.queues(function.trigger.connection)
    poison = None
    if not name.endswith(POISON):
        poison = MessageQueue(accounts, service.get_queue_client(name + POISON))
    queue = MessageQueue(accounts, service.get_queue_client(name))
    trigger = QueueTrigger(function, invoker, queue, as_base64=settings.base64)
    return QueueListener(queue, poison, trigger.work, settings)
