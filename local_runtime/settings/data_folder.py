"""Where state is kept: the data folder, and the Functions host's own part of it."""

from pathlib import Path


def data_folder(named: Path | None, app_dir: Path) -> Path:
    """Return the data folder: the one that was named, or the app's own."""
    return (named or app_dir / ".local").resolve()


def host_state_dir(data: Path) -> Path:
    """Return the folder in which the Functions host keeps its keys and its timers' state."""
    return data.resolve() / "host"
