"""What an app folder and the environment say about how to run the app."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError
from local_runtime.settings.host_json import SCHEDULER_SETTING, HostJson
from local_runtime.settings.json_file import read_json

MODEL_SETTINGS = ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_KEY", "OPENAI_BASE_URL")


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
        values = local_values(app_dir / "local.settings.json")
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


def _hub_of_connection(environ: Mapping[str, str], connection_name: str) -> str | None:
    connection = environ.get(connection_name) or environ.get(SCHEDULER_SETTING) or ""
    for part in connection.split(";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == "taskhub" and value.strip():
            return value.strip()
    return None


def local_values(path: Path) -> dict[str, str]:
    """Return the `Values` of a local.settings.json, as texts.

    Raises:
        StartupError: They cannot be read, or cannot be settings.
    """
    document = read_json(path)
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
