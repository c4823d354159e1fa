"""GET /admin/host/status: what this host says of itself."""

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from starlette.responses import Response

from local_runtime.background import TaskReport
from local_runtime.functions_host.admin.admin_call import AdminCall, json_reply

# The generation of the Functions host whose behaviour this one has; scripts ask for it.
_GENERATION = "4.0.0.0"


@dataclass(frozen=True)
class HostRoutes:
    """Answers what concerns the host as a whole."""

    app_dir: Path
    instance_id: str
    uptime_seconds: Callable[[], float]
    background: Callable[[], Sequence[TaskReport]]

    async def status(self, call: AdminCall) -> Response:
        """GET status: `Running`, for a host that does not run yet answers 503."""
        library = version("azure-functions-runtime")
        return json_reply(
            {
                "id": self._host_id(),
                "state": "Running",
                "version": _GENERATION,
                "versionDetails": f"{_GENERATION} embedded, azure-functions-runtime {library}",
                "platformVersion": "",
                "instanceId": self.instance_id,
                "computerName": platform.node(),
                "processUptime": int(self.uptime_seconds() * 1000),
                "functionAppContentEditingState": "Unknown",
                # Not of the real host, which keeps this to itself.
                "backgroundTasks": [report.to_dict() for report in self.background()],
            }
        )

    async def ping(self, call: AdminCall) -> Response:
        """GET or POST ping: 200."""
        return Response(headers={"Cache-Control": "no-store"})

    def _host_id(self) -> str:
        """Return an id that is the same after a restart, and another for another app."""
        digest = hashlib.sha256(str(self.app_dir).encode()).hexdigest()
        return f"{platform.node().lower()}-{digest[:10]}"[-32:]
