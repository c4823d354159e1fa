"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AppOption = Annotated[
    Path, typer.Option("--app", help="The folder of the function app (holds function_app.py).")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Where state is kept. Default: .local in the app's folder."),
]
