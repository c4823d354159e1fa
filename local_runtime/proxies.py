"""Keeps what the parts of the runtime say to each other on this machine, when a proxy is set."""

from collections.abc import MutableMapping

_THIS_MACHINE = ("127.0.0.1", "localhost")


def bypass_proxies(environ: MutableMapping[str, str]) -> None:
    """Except this machine from the proxy that the environment names, if it names one.

    gRPC and HTTP clients would otherwise ask that proxy for a scheduler or a model on 127.0.0.1.
    """
    named = {name.lower() for name, value in environ.items() if value}
    if not named & {"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"}:
        return
    # gRPC knows the lower-case names alone, and takes `no_grpc_proxy` for the whole if it is set.
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        excepted = environ.get(name) or environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        hosts = [host.strip() for host in excepted.split(",") if host.strip()]
        hosts += [host for host in _THIS_MACHINE if host not in hosts]
        environ[name] = ",".join(hosts)
