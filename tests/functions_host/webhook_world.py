"""Makes what a row of the webhook's contract speaks of, and compares what came with the row."""

import contextlib
import http.client
import re
import secrets
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import schemathesis
from host_process import WEBHOOK
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

PATIENCE = 60
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
_PLACEHOLDER = re.compile(r"\{([a-zA-Z]+)\}")
_ANY_ID = "{any32}"


class World:
    """A host with the contract's app: its document, and fresh instances in every state."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.origin = str(client.base_url).rstrip("/")
        self.document = self.send("GET", "openapi.json").json()
        self.schema = schemathesis.openapi.from_dict(self.document)
        load_all_checks()

    def send(self, verb: str, path: str, content: Any = b"", **headers: str) -> httpx.Response:
        if isinstance(content, int):
            return self._announce(verb, path, content, headers)
        return self.client.request(
            verb, f"{WEBHOOK}/{path}", content=content, headers=headers, timeout=PATIENCE
        )

    def post(self, path: str, content: bytes = b"") -> None:
        reply = self.send("POST", path, content, **{"content-type": "application/json"})
        assert reply.status_code in (200, 202), reply.text

    def settle(self, path: str, done) -> None:
        """Ask again until what is asked for has come about."""
        deadline = time.monotonic() + PATIENCE
        while not done(self.send("GET", path)):
            assert time.monotonic() < deadline, path

    def fill(self, request: str) -> tuple[str, dict[str, str]]:
        """Make what a request's placeholder names; the request, and the names for its answer."""
        names = {"origin": self.origin, "base": self.origin + WEBHOOK, "path": WEBHOOK}
        found = _PLACEHOLDER.search(request)
        if found is None:
            return request, names
        value = getattr(self, found[1].lower())()
        names["id"] = value
        shown = value.upper() if found[1].isupper() else value
        return request.replace(found[0], shown), names

    def new(self) -> str:
        return f"row-{secrets.token_hex(16)}"

    def completed(self) -> str:
        return self._start("doubling", "?timeout=30", b"21")

    def failed(self) -> str:
        return self._start("failing", "?timeout=30")

    def running(self) -> str:
        instance_id = self._start("waiting")
        self._until(instance_id, "Running")
        return instance_id

    def suspended(self) -> str:
        instance_id = self.running()
        self.post(f"instances/{instance_id}/suspend")
        self._until(instance_id, "Suspended")
        return instance_id

    def terminated(self) -> str:
        instance_id = self.running()
        self.post(f"instances/{instance_id}/terminate?reason=enough")
        self._until(instance_id, "Terminated")
        return instance_id

    def pending(self) -> str:
        return self._start("doubling", "?taskHub=Elsewhere")  # nobody works there

    def purgeable(self) -> str:
        """The name of a task hub with two terminated instances."""
        hub = f"Purge{secrets.token_hex(16)}"
        for _ in range(2):
            instance_id = self._start("doubling", f"?taskHub={hub}")
            self.post(f"instances/{instance_id}/terminate?taskHub={hub}")
        return hub

    def entity(self) -> str:
        key = self.new()
        self.post(f"entities/counter/{key}?op=add", b"5")
        self.settle(f"entities/counter/{key}", lambda reply: reply.status_code == 200)
        return key

    def alone(self) -> str:
        """The name of a kind of entity of which there is one."""
        self.post("entities/alone/only?op=set", b'{"a": 1}')
        self.settle("entities/alone/only", lambda reply: reply.status_code == 200)
        return "alone"

    def label(self, verb: str, path: str) -> str | None:
        """The document's name of the operation that a request is for."""
        given = path.partition("?")[0].strip("/").lower().split("/")
        for template, verbs in self.document["paths"].items():
            wanted = template.strip("/").lower().split("/")
            same = len(given) == len(wanted) and all(
                part and (known.startswith("{") or known == part)
                for known, part in zip(wanted, given, strict=True)
            )
            if same and verb.lower() in verbs:
                return f"{verb} {template}"
        return None

    def conforms(self, label: str, reply: httpx.Response) -> None:
        """Hold a reply to the document."""
        names = {name: "x" for name in _PLACEHOLDER.findall(label)}
        case = self.schema.find_operation_by_label(label).Case(path_parameters=names)
        case.validate_response(reply, checks=CONFORMANCE)

    def _announce(self, verb: str, path: str, size: int, headers: dict[str, str]) -> httpx.Response:
        """Send the head of a request only; its answer does not wait for the body."""
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.origin).netloc)) as raw:
            raw.putrequest(verb, f"{WEBHOOK}/{path}")
            for name, value in {**headers, "content-length": str(size)}.items():
                raw.putheader(name, value)
            raw.endheaders()
            answer = raw.getresponse()
            reply = httpx.Response(
                answer.status,
                headers=answer.getheaders(),
                content=answer.read(),
                request=httpx.Request(verb, f"{self.origin}{WEBHOOK}/{path}"),
            )
            reply.elapsed = timedelta()
            return reply

    def _start(self, name: str, query: str = "", content: bytes = b"") -> str:
        instance_id = self.new()
        self.post(f"orchestrators/{name}/{instance_id}{query}", content)
        return instance_id

    def _until(self, instance_id: str, state: str) -> None:
        path = f"instances/{instance_id}"
        self.settle(path, lambda reply: reply.json()["runtimeStatus"] == state)


def fits(expected: Any, actual: Any, names: dict[str, str]) -> bool:
    """Whether a value is what a row expects; dicts also in the order of their fields."""
    match expected:
        case dict():
            return list(expected) == list(actual) and all(
                fits(value, actual[key], names) for key, value in expected.items()
            )
        case list():
            return len(expected) == len(actual) and all(
                fits(wanted, got, names) for wanted, got in zip(expected, actual, strict=True)
            )
        case re.Pattern():
            pattern = re.compile(expected.pattern.replace("{id}", names.get("id", "")), re.DOTALL)
            return isinstance(actual, str) and pattern.fullmatch(actual) is not None
        case str():
            text = expected
            for name, value in names.items():
                text = text.replace(f"{{{name}}}", value)
            pattern = re.escape(text).replace(re.escape(_ANY_ID), "[0-9a-f]{32}")
            return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None
        case _:
            return type(expected) is type(actual) and expected == actual


def path_of(url: str) -> str:
    """The part of a management URL below the webhook's path."""
    parts = urlsplit(url)
    return f"{parts.path.removeprefix(WEBHOOK + '/')}?{parts.query}"
