"""The configuration that a function's durable client parameter receives."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local_runtime.settings import resolve

WEBHOOK_PATH = "/runtime/webhooks/durabletask"


@dataclass(frozen=True)
class ClientBinding:
    """Where a durable client of the app finds the scheduler and the webhook."""

    task_hub: str
    connection_name: str
    scheduler_url: str
    webhook_url: str
    environ: Mapping[str, str]
    max_message_bytes: int
    use_forwarded_host: bool = False
    webhook_key: Callable[[], str | None] = lambda: None
    """Returns the key that the webhook asks for now; None if it asks for none."""

    def to_json(self, settings: Mapping[str, Any], scheduler_url: str | None = None) -> str:
        """Return the JSON text for one binding, which may name a hub or a connection of its own.

        Args:
            settings: The binding as the app declares it.
            scheduler_url: Where this client finds the scheduler, if not where all others do.
        """
        task_hub = self._setting(settings, "taskHub") or self.task_hub
        connection = self._setting(settings, "connectionName") or self.connection_name
        return json.dumps(
            {
                "taskHubName": task_hub,
                "creationUrls": None,
                "managementUrls": None,
                "baseUrl": None,
                "requiredQueryStringParameters": query_string(
                    task_hub, connection, self.webhook_key()
                ),
                "connectionName": connection,
                "rpcBaseUrl": scheduler_url or self.scheduler_url,
                "httpBaseUrl": self.webhook_url,
                "useForwardedHost": self.use_forwarded_host,
                "maxGrpcMessageSizeInBytes": self.max_message_bytes,
                "grpcHttpClientTimeout": "00:01:40",
            }
        )

    def _setting(self, settings: Mapping[str, Any], name: str) -> str | None:
        return resolve(str(settings.get(name) or ""), self.environ)


def query_string(task_hub: str, connection_name: str, key: str | None) -> str:
    """Return what every management URL carries after its `?`.

    The key comes last, as `code`. A host that asks for no keys hands out none: an empty `code`
    would only make the URLs longer.
    """
    hub = f"taskHub={quote(task_hub, safe='')}&connection={quote(connection_name, safe='')}"
    return hub if key is None else f"{hub}&code={quote(key, safe='')}"
