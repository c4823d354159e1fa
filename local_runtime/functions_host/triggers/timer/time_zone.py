"""The time zone that timers go by."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from local_runtime.errors import StartupError

_SETTINGS = ("WEBSITE_TIME_ZONE", "TZ")


def time_zone(environ: Mapping[str, str]) -> ZoneInfo:
    """Return the zone that the settings name, or UTC, which is what timers on Azure go by.

    Raises:
        StartupError: The setting names none.
    """
    for setting in _SETTINGS:
        name = environ.get(setting, "").strip().removeprefix(":")
        if name:
            try:
                return ZoneInfo(name)
            # ZoneInfo reads files by these names, and says in many ways that there is none.
            except (KeyError, ValueError, OSError) as error:
                raise StartupError(
                    f"the setting {setting} names no time zone: {name!r}. Give a name of the IANA "
                    "database, such as Europe/Paris, or leave it out for UTC."
                ) from error
    return ZoneInfo("UTC")
