"""The URLs by which a client manages an instance, as every reply to a start carries them."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request

from local_runtime.functions_host.app.client_binding import WEBHOOK_PATH as WEBHOOK_PATH
from local_runtime.functions_host.app.client_binding import query_string

_AUTHORITY = re.compile(r"[A-Za-z0-9._\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(frozen=True)
class ManagementUrls:
    """URLs below one webhook address, about instances of one task hub."""

    origin: str
    task_hub: str
    connection_name: str
    code: str | None = field(default=None, repr=False)
    """The key that the URLs carry; None where no keys are asked for."""

    def status(self, instance_id: str, *, error_on_failure: bool = False) -> str:
        """Return the URL to poll."""
        url = f"{self._instance(instance_id)}?{self._query}"
        return url + ("&returnInternalServerErrorOnFailure=true" if error_on_failure else "")

    def payload(self, instance_id: str, *, error_on_failure: bool = False) -> dict[str, str]:
        """Return all URLs in the order in which the extension writes them."""
        path = self._instance(instance_id)
        reason = f"?reason={{text}}&{self._query}"
        return {
            "id": instance_id,
            "statusQueryGetUri": self.status(instance_id, error_on_failure=error_on_failure),
            "sendEventPostUri": f"{path}/raiseEvent/{{eventName}}?{self._query}",
            "terminatePostUri": f"{path}/terminate{reason}",
            "purgeHistoryDeleteUri": f"{path}?{self._query}",
            "restartPostUri": f"{path}/restart?{self._query}",
            "suspendPostUri": f"{path}/suspend{reason}",
            "resumePostUri": f"{path}/resume{reason}",
        }

    @property
    def _query(self) -> str:
        return query_string(self.task_hub, self.connection_name, self.code)

    def _instance(self, instance_id: str) -> str:
        return f"{self.origin}{WEBHOOK_PATH}/instances/{quote(instance_id, safe='')}"


def origin_of(request: Request, *, use_forwarded_host: bool) -> str:
    """Return scheme and authority as the client knows them, so that its proxies and ports work."""
    forwarded_host = request.headers.get("x-forwarded-host")
    forwarded_scheme = request.headers.get("x-forwarded-proto")
    if use_forwarded_host and forwarded_host and forwarded_scheme:
        scheme, host = _first(forwarded_scheme).lower(), _first(forwarded_host)
        if scheme in ("http", "https") and _AUTHORITY.fullmatch(host):
            return f"{scheme}://{host}"
    return f"{request.url.scheme}://{request.url.netloc}"


def _first(values: str) -> str:
    return values.split(",", 1)[0].strip()
