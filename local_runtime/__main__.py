"""`python -m local_runtime`, the command line; the supervisor runs this very file for each part."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def _make_importable() -> None:
    """Import `local_runtime` without the folder around it on the module path.

    That folder holds an app of its own: were it on the path, its packages could be imported in
    the place of those of the app that is to be run.
    """
    if __package__:
        # `python -m` puts the working directory first on the path.
        if not sys.flags.safe_path and sys.path and sys.path[0] == os.getcwd():
            del sys.path[0]
        return
    folder = Path(__file__).resolve().parent
    spec = spec_from_file_location(
        folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not a package")
    package = module_from_spec(spec)
    sys.modules[folder.name] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _make_importable()
    # Its own log lines go to stderr beside the clear messages for the same faults.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if sys.argv[1:2] == ["host-process"]:
        from local_runtime.host_process import main as run_host_process

        run_host_process(sys.argv[2:])
    else:
        from local_runtime.cli import main

        main()
