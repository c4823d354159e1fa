"""Shows the content of large payloads that the app keeps in a payload store, not the references."""

import logging

from azure.core.exceptions import AzureError
from azure.durable_functions.internal.payloads import get_transport_payload_store
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.payload import deexternalize_payloads_async

logger = logging.getLogger("local_runtime.host")


async def fill_in(state: pb.OrchestrationState) -> None:
    """Put the content of stored payloads in the place of the references to them.

    Without a store nothing changes. What cannot be read stays a reference, which is logged: the
    status of an instance is worth more than nothing.
    """
    store = get_transport_payload_store()
    if store is None:
        return
    try:
        await deexternalize_payloads_async(state, store)
    except (AzureError, OSError, ValueError) as error:
        logger.warning(
            "%s: a payload could not be read from the payload store (%s); its reference is shown",
            state.instanceId,
            type(error).__name__,
        )
