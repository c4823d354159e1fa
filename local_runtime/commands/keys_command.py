"""The command `keys`: makes and deletes the keys of a host, whether it runs or not.

A value is printed once, alone on stdout, and is never an argument: every user of a machine sees the
arguments of its processes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local_runtime.commands.options import AppOption, DataOption
from local_runtime.errors import StartupError
from local_runtime.settings import check_app_dir, data_folder, host_state_dir

if TYPE_CHECKING:
    from local_runtime.functions_host.keys.key_store import KeyStore

keys_app = typer.Typer(
    help="Keys of a host that asks for them (--enable-auth). A value is shown once, when made.",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(help="The key's name; `_master` is the one that opens everything.")
]
OfFunction = Annotated[
    str | None, typer.Option("--function", help="A key of this function; else of all functions.")
]


@keys_app.command("create")
def create(
    name: Name,
    function: OfFunction = None,
    app_dir: AppOption = Path(),
    data: DataOption = None,
) -> None:
    """Make a new key and print its value. It opens all functions, or the one named."""
    store, scope = _store(app_dir, data), _scope(name, function)
    if store.ring().find(scope, name) is not None:
        raise StartupError(
            f"there is a key {name!r} already, and its value cannot be shown again. "
            "Give it a new value with `keys rotate`, or make a key of another name."
        )
    _make_and_print(store, scope, name)


@keys_app.command("rotate")
def rotate(
    name: Name,
    function: OfFunction = None,
    app_dir: AppOption = Path(),
    data: DataOption = None,
) -> None:
    """Give a key a new value and print it; the old one opens nothing any more."""
    store = _store(app_dir, data)
    scope = _scope_of_existing(store, name, function)
    _make_and_print(store, scope, name)


@keys_app.command("delete")
def delete(
    name: Name,
    function: OfFunction = None,
    app_dir: AppOption = Path(),
    data: DataOption = None,
) -> None:
    """Delete a key: its value opens nothing any more."""
    store = _store(app_dir, data)
    store.delete(_scope_of_existing(store, name, function), name)


@keys_app.command("list")
def list_keys(app_dir: AppOption = Path(), data: DataOption = None) -> None:
    """List the keys by name and by what they open."""
    from local_runtime.functions_host.keys.key_ring import what_opens

    ring = _store(app_dir, data).ring()
    for scope in ring.scopes():
        for name in ring.names(scope):
            typer.echo(f"{name}\t{what_opens(scope)}")


@keys_app.command("webhook")
def webhook(app_dir: AppOption = Path(), data: DataOption = None) -> None:
    """Print the key that management URLs carry. It opens the durabletask webhook and no more.

    `keys rotate durabletask_extension` makes all URLs void that were handed out so far.
    """
    typer.echo(_store(app_dir, data).webhook_value())


def _make_and_print(store: "KeyStore", scope: str, name: str) -> None:
    from local_runtime.functions_host.keys.key_ring import MASTER, MASTER_SCOPE, what_opens

    value, _ = store.make(scope, name)
    opens = what_opens(MASTER_SCOPE if name.lower() == MASTER else scope)
    # Apart from the value, which may be taken into a variable.
    typer.echo(f"The key {name!r} opens {opens}. It is shown this once:", err=True)
    typer.echo(value)


def _store(app_dir: Path, data: Path | None) -> "KeyStore":
    from local_runtime.functions_host.keys.key_store import KeyStore

    if data is None:
        check_app_dir(app_dir)
    return KeyStore(host_state_dir(data_folder(data, app_dir)))


def _scope(name: str, function: str | None) -> str:
    from local_runtime.functions_host.keys.key_ring import (
        HOST_KEYS,
        MASTER,
        SYSTEM_KEYS,
        WEBHOOK,
        function_scope,
        is_key_name,
    )

    if not is_key_name(name) or (function is not None and name.lower() == MASTER):
        raise StartupError(f"{name!r} cannot be the name of a key.")
    if function is not None:
        return function_scope(function)
    return SYSTEM_KEYS if name.lower() == WEBHOOK else HOST_KEYS


def _scope_of_existing(store: "KeyStore", name: str, function: str | None) -> str:
    scope = _scope(name, function)
    if store.ring().find(scope, name) is None:
        raise StartupError(f"there is no key {name!r} here; `keys list` names them all.")
    return scope
