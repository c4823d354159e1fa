"""makeprimary: with one host there is no lease to take, so this app is the primary already."""

from starlette.responses import Response

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.replies import empty


async def make_primary(call: Call) -> Response:
    """Answer that this app is the primary."""
    del call
    return empty(200)
