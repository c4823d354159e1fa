"""The settings of host.json that the embedded runtime heeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from local_runtime.settings.http_settings import HttpSettings
from local_runtime.settings.json_file import read_json
from local_runtime.settings.queue_settings import QueueSettings
from local_runtime.settings.section import Section, apply_overrides, lowered
from local_runtime.settings.variables import resolve

SCHEDULER_SETTING = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"

_NON_RUNNING, _ANY = "NonRunningStates", "AnyState"


@dataclass(frozen=True)
class HostJson:
    """The settings of host.json that the embedded runtime heeds."""

    http: HttpSettings = field(default_factory=HttpSettings)
    hub_name: str | None = None
    """The task hub, with its %VARIABLES% resolved; None when it is absent or unresolvable."""
    connection_name: str = SCHEDULER_SETTING
    max_orchestrations: int | None = None
    max_activities: int | None = None
    max_entities: int | None = None
    default_version: str | None = None
    replace_running_instances: bool = False
    """True for `overridableExistingInstanceStates: AnyState`."""
    use_forwarded_host: bool = False
    max_starts: int = 8000
    """How many requests to the webhook may start an instance, or wait for one, at once."""
    max_grpc_message_bytes: int = 4 * 1024 * 1024
    function_timeout: timedelta | None = timedelta(minutes=30)
    """How long a function may run; None for any time. The default is that of most plans."""
    queues: QueueSettings = field(default_factory=QueueSettings)

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str]) -> "HostJson":
        """Read `path`, with the overrides of the environment; a file that is absent has defaults.

        Raises:
            StartupError: The file is not valid JSON, or a setting is of the wrong kind.
        """
        document = lowered(read_json(path))
        apply_overrides(document, environ)
        section = Section(path, document)
        durable = section.child("extensions", "durabletask")
        storage = durable.child("storageprovider")
        managed = storage.text("type", "AzureStorage").lower() == "azuremanaged"
        return cls(
            http=HttpSettings.load(section.child("extensions", "http"), environ),
            hub_name=resolve(durable.text("hubname", ""), environ) or None,
            connection_name=storage.text("connectionstringname", "")
            or storage.text("connectionname", "")
            or (SCHEDULER_SETTING if managed else "AzureWebJobsStorage"),
            max_orchestrations=durable.number("maxconcurrentorchestratorfunctions"),
            max_activities=durable.number("maxconcurrentactivityfunctions"),
            max_entities=durable.number("maxconcurrententityfunctions"),
            default_version=durable.text("defaultversion", "") or None,
            replace_running_instances=durable.choice(
                "overridableexistinginstancestates", (_NON_RUNNING, _ANY)
            )
            == _ANY,
            use_forwarded_host=durable.child("httpsettings").flag("useforwardedhost"),
            max_starts=durable.child("httpsettings").number("maxoutstandingstarts")
            or cls.max_starts,
            max_grpc_message_bytes=durable.number("maxgrpcmessagesizeinbytes")
            or cls.max_grpc_message_bytes,
            function_timeout=section.duration("functiontimeout", cls.function_timeout),
            queues=QueueSettings.read(section.child("extensions", "queues")),
        )
