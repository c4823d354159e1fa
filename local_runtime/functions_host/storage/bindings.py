"""Reads blobs into the parameters of a function, and writes its outputs to blobs and queues."""

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from local_runtime.functions_host.app.function_index import (
    BLOB,
    QUEUE_OUTPUT,
    Binding,
    Function,
)
from local_runtime.functions_host.app.invocation import FunctionFailed, Returned
from local_runtime.functions_host.app.worker_messages import ParameterBinding, TypedData
from local_runtime.functions_host.storage.accounts import StorageAccounts, StorageProblem, reason
from local_runtime.functions_host.storage.binding_data import binding_data
from local_runtime.functions_host.storage.expressions import Expressions
from local_runtime.functions_host.storage.queue_output import encoded, queue_messages
from local_runtime.functions_host.storage.sending import send_message, upload_blob
from local_runtime.settings import resolve

RETURN_VALUE = "$return"


class StorageBindings:
    """The blob inputs and the blob and queue outputs of all functions."""

    def __init__(
        self,
        accounts: StorageAccounts,
        expressions: Expressions,
        environ: Mapping[str, str],
        *,
        base64: bool,
    ) -> None:
        self._accounts = accounts
        self._expressions = expressions
        self._environ = environ
        self._base64 = base64

    async def read(
        self, function: Function, trigger: TypedData, metadata: Mapping[str, TypedData]
    ) -> list[ParameterBinding]:
        """Return the blobs that the function takes in; one that is not there is a None.

        Raises:
            FunctionFailed: A blob cannot be read.
        """
        inputs = [one for one in function.others if one.type == BLOB and not one.is_output]
        if not inputs:
            return []
        data = binding_data(trigger, metadata)
        return [
            ParameterBinding(one.name, await self._guarded(one, self._read_blob, one, data))
            for one in inputs
        ]

    async def write(
        self,
        function: Function,
        returned: Returned,
        trigger: TypedData,
        metadata: Mapping[str, TypedData],
    ) -> None:
        """Write what the function put out; nothing is written where it put out nothing.

        Raises:
            FunctionFailed: An output cannot be written. What was written before it stays.
        """
        outputs = [
            (one, value)
            for one in function.others
            if one.type in (BLOB, QUEUE_OUTPUT) and one.is_output
            if (value := _value(one, returned)) is not None
        ]
        if not outputs:
            return
        data = binding_data(trigger, metadata)
        for one, value in outputs:
            put = self._write_blob if one.type == BLOB else self._send
            await self._guarded(one, put, one, data, value)

    async def _guarded(self, binding: Binding, work: Any, *args: Any) -> Any:
        """Do one thing with storage; whatever is wrong with it is a failure of the function."""
        try:
            return await work(*args)
        except AzureError as error:
            problem, kind = reason(error), type(error).__name__
        except (StorageProblem, ValueError) as error:
            problem, kind = str(error), type(error).__name__
        raise FunctionFailed(f"{kind}: binding {binding.name!r} ({binding.type}): {problem}", "")

    async def _read_blob(self, binding: Binding, data: Mapping[str, Any]) -> TypedData:
        container, name = self._path(binding, data)
        blob = self._accounts.blobs(binding.connection).get_blob_client(container, name)
        try:
            content = await self._accounts.call(lambda: blob.download_blob().readall())
        except ResourceNotFoundError:
            return TypedData()
        return TypedData(bytes=content)

    async def _write_blob(
        self, binding: Binding, data: Mapping[str, Any], value: TypedData
    ) -> None:
        container, name = self._path(binding, data)
        service = self._accounts.blobs(binding.connection)
        content = value.value if isinstance(value.value, bytes) else str(value.value).encode()

        client = service.get_container_client(container)
        await self._accounts.call(upload_blob, client, name, content)

    async def _send(self, binding: Binding, data: Mapping[str, Any], value: TypedData) -> None:
        name = self._filled(binding.settings.get("queueName"), data)
        queue = self._accounts.queues(binding.connection).get_queue_client(name)
        texts = [encoded(one, as_base64=self._base64) for one in queue_messages(value)]
        for text in texts:
            await self._accounts.call(send_message, queue, text)

    def _path(self, binding: Binding, data: Mapping[str, Any]) -> tuple[str, str]:
        path = self._filled(binding.settings.get("path"), data)
        container, _, name = path.strip("/").partition("/")
        if not container or not name:
            raise StorageProblem("the path must be the name of a container, '/', and a blob's name")
        return container, name

    def _filled(self, text: object, data: Mapping[str, Any]) -> str:
        return self._expressions.fill(resolve(str(text or ""), self._environ) or "", data)


def _value(binding: Binding, returned: Returned) -> TypedData | None:
    value = returned.outputs.get(binding.name)
    if binding.name == RETURN_VALUE:
        value = returned.value
    return value if value is not None and value.value is not None else None
