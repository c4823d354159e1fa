"""Says in each log record which invocation it belongs to: the app's own records and the host's."""

import logging
from contextvars import ContextVar
from dataclasses import dataclass

import azure_functions_runtime as worker

from local_runtime.log_setup import INVOCATION


@dataclass(slots=True)
class InvocationLabel:
    """One invocation: of which function, for which orchestration or entity, and its own id."""

    function_name: str
    instance_id: str
    invocation_id: str

    def __str__(self) -> str:
        return f"{self.function_name} {self.instance_id or '-'} {self.invocation_id}"


_current: ContextVar[InvocationLabel | None] = ContextVar("invocation_label", default=None)
# For synchronous functions: the worker library's threads know of the invocation only its id.
_running: dict[str, InvocationLabel] = {}


class labelled:
    """Labels what is logged inside the `with`, and after it what the same task logs.

    A class, for it is entered at every call, and a generator takes three times as long.
    """

    def __init__(self, label: InvocationLabel) -> None:
        self._label = label

    def __enter__(self) -> None:
        _current.set(self._label)
        _running[self._label.invocation_id] = self._label

    def __exit__(self, *error: object) -> None:
        del _running[self._label.invocation_id]


def label_records() -> None:
    """Have every handler of the root logger label its records."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_label)


def _label(record: logging.LogRecord) -> bool:
    label = _current.get()
    if label is None:
        invocation_id = worker.invocation_id_cv.get()
        if invocation_id is None:
            return True
        # Without a label it is a thread that has outlived its invocation.
        label = _running.get(invocation_id) or InvocationLabel("-", "", invocation_id)
    setattr(record, INVOCATION, str(label))
    return True
