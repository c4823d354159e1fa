"""URLs to which results of tools are brought."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from urllib.parse import quote

from durable_agents.errors import ConfigurationError

logger = logging.getLogger(__name__)

BASE_URL = "BATON_BASE_URL"
HOST_NAME = "WEBSITE_HOSTNAME"
ROUTE_PREFIX = "AzureFunctionsJobHost__extensions__http__routePrefix"

_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


def callback_path(instance: str, call: str, secret: str) -> str:
    """Return the end of a call's callback URL.

    Args:
        instance: The run's instance id.
        call: The id of the request for the result.
        secret: What only who has the URL knows.
    """
    return f"callbacks/{quote(instance, safe='')}/{quote(call, safe='')}?token={quote(secret)}"


def callback_url(path: str, environ: Mapping[str, str]) -> str:
    """Return a call's callback URL.

    It begins with the setting `BATON_BASE_URL`, or else with where the platform says the app is.

    Args:
        path: The end of it, as `callback_path` gave it.
        environ: The app's settings.

    Raises:
        ConfigurationError: There is no such end, or nothing says where the app is.
    """
    if not path:
        raise _missing("the tool has no callback URL: give it later=True")
    base = environ.get(BASE_URL, "").strip().rstrip("/")
    host = environ.get(HOST_NAME, "").strip()
    if not base and not host:
        raise _missing(f"set {BASE_URL} to the URL that this app's routes begin with")
    if not base:
        scheme = "http" if host.rpartition(":")[0] in _THIS_MACHINE else "https"
        prefix = environ.get(ROUTE_PREFIX, "api").strip("/")
        base = f"{scheme}://{host}/{prefix}".rstrip("/")
    return f"{base}/{path}"


def fingerprint_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal: it says nothing about the secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_secret(given: str, fingerprint: str) -> bool:
    """Return whether something is the secret of a fingerprint; how long that takes says nothing."""
    return hmac.compare_digest(fingerprint_of(given), fingerprint)


def _missing(what: str) -> ConfigurationError:
    # Of what a tool raises the model is told the type alone: so the operator is told here.
    logger.warning("no callback URL: %s", what)
    return ConfigurationError(what)
