"""The connection to a model's server: one call is one HTTP request, bounded in time and size.

Retries are off in the SDK: they are made durably, around the call. Redirects are not followed.
Every way in which a request can end without a reply is sorted here into an error that says who must
act.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, override
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import openai
from azure.core.exceptions import AzureError, ClientAuthenticationError

from durable_agents.errors import (
    ConfigurationError,
    InvalidAgentOutput,
    ModelRejected,
    ModelUnavailable,
)
from durable_agents.models.server_errors import failed_request

DEFAULT_TIMEOUT = 120.0
# An answer is text. What is larger is no answer, and would be stored in a history.
LARGEST_REPLY = 4 * 1024 * 1024

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

type ApiKey = str | Callable[[], Awaitable[str]]


class ModelServer:
    """The server of one model.

    Args:
        model: The model's name, for messages.
        api_key: The key, or what gets a token.
        base_url: The server, with `/v1`.
        timeout: The longest time for one request, to the last byte of its reply, in seconds.

    Raises:
        ConfigurationError: The address cannot be one.
    """

    def __init__(self, model: str, api_key: ApiKey, base_url: str, timeout: float) -> None:
        self._model = model
        self._timeout = timeout
        self._address = _without_user(usable_url(base_url))
        self._clients = _ClientPerLoop(
            lambda: openai.AsyncOpenAI(
                api_key=api_key,
                base_url=base_url,
                timeout=timeout,
                max_retries=0,
                # A redirect would be a second request, with the prompt, to a place nobody named.
                http_client=_BoundedClient(follow_redirects=False, timeout=timeout),
            )
        )

    async def ask[T](
        self, send: Callable[[openai.AsyncOpenAI], Awaitable[T]], private: Iterable[str] = ()
    ) -> T:
        """Send one request, and return what `send` returns.

        Args:
            send: Sends it by the SDK's client.
            private: Texts of the request, which no error may quote.

        Raises:
            AgentCallFailed: There is no reply with a good status.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await send(self._clients.get())
        except (openai.APITimeoutError, TimeoutError) as error:
            raise self._unavailable(f"no answer within {self._timeout:g} s") from error
        except _ReplyTooLarge:
            # Not retried: the same request would fetch the same megabytes again.
            raise InvalidAgentOutput(
                f"the reply is larger than {LARGEST_REPLY // 2**20} MB and was not read to its end",
                model=self._model,
            ) from None
        except openai.APIConnectionError as error:
            what = type(error.__cause__ or error).__name__
            cause = f"the connection to {self._address} failed ({what})"
            raise self._unavailable(cause) from error
        except openai.APIStatusError as error:
            raise failed_request(error, self._model, private) from error
        except ClientAuthenticationError as error:
            cause = f"could not sign in to Azure: {_first_line(error)}"
            raise ModelRejected(cause, model=self._model) from error
        except AzureError as error:
            raise self._unavailable(
                f"could not get a token from Azure: {_first_line(error)}"
            ) from error

    async def close(self) -> None:
        """Close the connections of the running event loop; a later request opens new ones."""
        await self._clients.close()

    def _unavailable(self, cause: str) -> ModelUnavailable:
        return ModelUnavailable(cause, model=self._model)


class _ReplyTooLarge(Exception):
    """The reply went on after the largest size that is read."""


class _BoundedClient(openai.DefaultAsyncHttpxClient):
    """An HTTP client that reads no more of a reply than an answer can have."""

    # Of the HTTP library that the SDK brings along: it is the SDK's to choose.
    @override
    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        response = await super().send(request, stream=True, **options)
        if stream and response.is_success:
            return response  # its reader counts
        body = bytearray()
        async with contextlib.aclosing(response):
            # Decoded: a compressed reply may be a thousand times what came over the line.
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_REPLY:
                    raise _ReplyTooLarge
        kept = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return type(response)(
            response.status_code,
            headers=kept,
            content=bytes(body),
            request=request,
            extensions={**response.extensions},
        )


class _ClientPerLoop:
    """Keeps one SDK client for each event loop: its connections belong to the loop they began on.

    Made at the first call, since the loop of the Functions worker runs only after the app is
    loaded.
    """

    def __init__(self, create: Callable[[], openai.AsyncOpenAI]) -> None:
        self._create = create
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
        self._clients = WeakKeyDictionary()

    def get(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._create()
        return client

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()


def usable_url(url: str) -> str:
    """Return an address without its last slash.

    Raises:
        ConfigurationError: It is not an http(s) URL.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # what stands for a port is none, or an IPv6 address is half one
        usable = False
    if not usable:
        raise ConfigurationError(f"the model's address {url!r} is not an http(s) URL.")
    return url.rstrip("/")


def secret_url(url: str) -> str:
    """Return an address that a key or token may be sent to.

    Raises:
        ConfigurationError: It is none, or the key would go over the network unencrypted.
    """
    usable = usable_url(url)
    parts = urlsplit(usable)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(f"{url!r} would send the key or token unencrypted; use https.")
    return usable


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
