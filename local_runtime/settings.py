"""Reads an app's host.json and local.settings.json as `func start` does, for all parts."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError

SCHEDULER_SETTING = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
MODEL_SETTINGS = ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_KEY", "OPENAI_BASE_URL")

_OVERRIDE_PREFIX = "azurefunctionsjobhost__"
_NON_RUNNING, _ANY = "NonRunningStates", "AnyState"


@dataclass(frozen=True)
class HostJson:
    """The settings of host.json that the embedded runtime heeds."""

    route_prefix: str = "api"
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
    max_grpc_message_bytes: int = 4 * 1024 * 1024

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str]) -> "HostJson":
        """Read `path`, with the overrides of the environment; a file that is absent has defaults.

        Raises:
            StartupError: The file is not valid JSON, or a setting is of the wrong kind.
        """
        document = _lowered(_read_json(path))
        _apply_overrides(document, environ)
        section = _Section(path, document)
        durable = section.child("extensions", "durabletask")
        storage = durable.child("storageprovider")
        managed = storage.text("type", "AzureStorage").lower() == "azuremanaged"
        return cls(
            route_prefix=section.child("extensions", "http").text("routeprefix", "api").strip("/"),
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
            max_grpc_message_bytes=durable.number("maxgrpcmessagesizeinbytes")
            or cls.max_grpc_message_bytes,
        )


@dataclass(frozen=True)
class AppSettings:
    """What an app folder and the environment say about how to run the app."""

    app_dir: Path
    environment: dict[str, str]
    """The values of local.settings.json that the environment does not set already."""
    host: HostJson
    task_hub: str
    model_configured: bool

    @classmethod
    def load(cls, app_dir: Path, environ: Mapping[str, str]) -> "AppSettings":
        """Read the settings of the app in `app_dir`; the real environment wins over its files.

        Raises:
            StartupError: One of the files cannot be read, and the message says which and where.
        """
        values = _local_values(app_dir / "local.settings.json")
        # An empty value is a setting left blank in the example file, not a wish to set it to "".
        added = {key: value for key, value in values.items() if value and key not in environ}
        merged = {**added, **environ}
        host = HostJson.load(app_dir / "host.json", merged)
        return cls(
            app_dir=app_dir,
            environment=added,
            host=host,
            task_hub=host.hub_name or _hub_of_connection(merged, host.connection_name) or "default",
            model_configured=any(merged.get(name, "").strip() for name in MODEL_SETTINGS),
        )


def check_app_dir(app_dir: Path) -> None:
    """Make sure that the app's folder is one.

    Raises:
        StartupError: It is not there, or is a file.
    """
    if not app_dir.is_dir():
        what = "is not a folder" if app_dir.exists() else "does not exist"
        raise StartupError(f"the app folder {app_dir} {what}; name another with --app.")


def resolve(text: str, environ: Mapping[str, str]) -> str | None:
    """Replace each `%NAME%` by its setting; None when one of them is not set."""
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        value = environ.get(match[1], "")
        missing = missing or not value
        return value

    resolved = re.sub(r"%([^%]+)%", value_of, text)
    return None if missing else resolved


def _hub_of_connection(environ: Mapping[str, str], connection_name: str) -> str | None:
    connection = environ.get(connection_name) or environ.get(SCHEDULER_SETTING) or ""
    for part in connection.split(";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == "taskhub" and value.strip():
            return value.strip()
    return None


def _local_values(path: Path) -> dict[str, str]:
    document = _read_json(path)
    if document.get("IsEncrypted") is True:
        raise StartupError(
            f"{path} is encrypted; decrypt it with `func settings decrypt`, or set the values it "
            "holds as environment variables."
        )
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise StartupError(f'{path}: "Values" must be an object of names and strings.')
    texts = {
        name: "" if value is None else value if isinstance(value, str) else json.dumps(value)
        for name, value in cast("dict[str, Any]", values).items()
    }
    for name, value in texts.items():
        # What no environment can hold, and os.environ refuses without saying which.
        if not name or "=" in name or "\0" in name + value:
            raise StartupError(f"{path}: the setting {name!r} cannot be an environment variable.")
    return texts


def _read_json(path: Path) -> dict[str, Any]:
    try:
        # utf-8-sig: editors on Windows begin the file with a byte order mark.
        document: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise StartupError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise StartupError(f"{path} must hold a JSON object ({{...}}) at its top.")
    return cast("dict[str, Any]", document)


def _lowered(value: Any) -> Any:
    """The names in host.json are read without regard to case, as the Functions host does."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key.lower(): _lowered(inner) for key, inner in items}
    return value


def _apply_overrides(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Apply `AzureFunctionsJobHost__a__b=value`, which overrides `a.b` of host.json."""
    for name, value in environ.items():
        if not name.lower().startswith(_OVERRIDE_PREFIX):
            continue
        *parents, last = name.lower().removeprefix(_OVERRIDE_PREFIX).split("__")
        place = document
        for parent in parents:
            inner = place.get(parent)
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = cast("dict[str, Any]", inner)
        place[last] = value


class _Section:
    """One object of host.json, whose settings are read with a check of their kind."""

    def __init__(self, path: Path, values: dict[str, Any], name: str = "") -> None:
        self._path = path
        self._values = values
        self._name = name

    def child(self, *names: str) -> "_Section":
        values: Any = self._values
        for name in names:
            values = cast("dict[str, Any]", values).get(name) or {}
            if not isinstance(values, dict):
                raise self._wrong(name, "an object")
        return _Section(self._path, cast("dict[str, Any]", values), ".".join(names))

    def text(self, name: str, default: str) -> str:
        return self._read(name, default, "a string", lambda value: str(value))

    def number(self, name: str) -> int | None:
        number = self._read(name, None, "a whole number above 0", lambda value: int(str(value)))
        if number is not None and number < 1:
            raise self._wrong(name, "a whole number above 0")
        return number

    def flag(self, name: str) -> bool:
        return (
            self._read(name, "false", "true or false", lambda value: str(value)).lower() == "true"
        )

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        chosen = self.text(name, allowed[0]).lower()
        for option in allowed:
            if option.lower() == chosen:
                return option
        raise self._wrong(name, " or ".join(allowed))

    def _read[T](self, name: str, default: T, kind: str, convert: Callable[[object], T]) -> T:
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, dict | list):
            raise self._wrong(name, kind)
        try:
            return convert(cast("object", value))
        except ValueError as error:
            raise self._wrong(name, kind) from error

    def _wrong(self, name: str, kind: str) -> StartupError:
        where = f"{self._name}.{name}".strip(".")
        return StartupError(f"{self._path}: the setting {where!r} must be {kind}.")
