"""How the app's HTTP functions are served: the section `http` of host.json, and a setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from local_runtime.errors import StartupError
from local_runtime.settings.section import Section

_BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"


@dataclass(frozen=True)
class HttpSettings:
    """How the app's HTTP functions are served."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """What goes into every answer of an HTTP function."""
    max_outstanding: int | None = None
    """How many requests may run or wait; None for any number."""
    max_concurrent: int | None = None
    """How many requests may run at once; None for any number."""
    max_body_bytes: int = 100 * 1024 * 1024

    @classmethod
    def load(cls, section: Section, environ: Mapping[str, str]) -> "HttpSettings":
        """Read the section, and the limit of bodies, which is an app setting.

        Raises:
            StartupError: A setting is of the wrong kind.
        """
        limit = environ.get(_BODY_LIMIT, "").strip() or str(cls.max_body_bytes)
        if not (limit.isascii() and limit.isdigit()):
            raise StartupError(
                f"the setting {_BODY_LIMIT} must be a number of bytes, not {limit!r}."
            )
        return cls(
            route_prefix=section.text("routeprefix", "api").strip("/"),
            custom_headers=section.texts("customheaders"),
            max_outstanding=section.limit("maxoutstandingrequests"),
            max_concurrent=section.limit("maxconcurrentrequests"),
            max_body_bytes=int(limit),
        )
