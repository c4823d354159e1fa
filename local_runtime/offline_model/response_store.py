"""The responses of the Responses API: made at once or in the background, kept, and cancelled."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local_runtime.offline_model.chat_reply import REPLY_MODEL, tokens
from local_runtime.offline_model.conversation import Answer, Asked

_MOST_KEPT = 1000


@dataclass
class Response:
    """One response. It is finished when its time has come, unless it is cancelled before."""

    number: int
    asked: Asked
    answer: Answer
    created: datetime
    ready: datetime
    background: bool
    cancelled: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return f"resp_offline_{self.number}"

    def status(self, now: datetime) -> str:
        """Return where it stands."""
        if self.cancelled:
            return "cancelled"
        return "completed" if now >= self.ready else "in_progress"

    def document(self, now: datetime) -> dict[str, Any]:
        """Return it as the API has it."""
        status = self.status(now)
        done = status == "completed"
        return {
            "id": self.id,
            "object": "response",
            "created_at": int(self.created.timestamp()),
            "status": status,
            "background": self.background,
            "error": None,
            "incomplete_details": None,
            "model": REPLY_MODEL,
            "output": self._output() if done else [],
            "usage": self._usage() if done else None,
        }

    def _output(self) -> list[dict[str, Any]]:
        if self.answer.calls:
            return [
                {
                    "type": "function_call",
                    "id": f"fc_offline_{self.number}_{index}",
                    "call_id": f"call_offline_{self.number}_{index}",
                    "name": call.name,
                    "arguments": call.arguments,
                    "status": "completed",
                }
                for index, call in enumerate(self.answer.calls, 1)
            ]
        part: dict[str, Any] = {"type": "output_text", "text": self.answer.text, "annotations": []}
        return [
            {
                "type": "message",
                "id": f"msg_offline_{self.number}",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        ]

    def _usage(self) -> dict[str, Any]:
        given, made = tokens(self.asked.prompt_chars), tokens(self.answer.characters)
        return {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + made,
        }


class ResponseStore:
    """Keeps the latest thousand responses for as long as this process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, Response] = {}

    def keep(self, response: Response) -> None:
        """Keep a response; the oldest one makes room."""
        self._kept[response.id] = response
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    def get(self, response_id: str) -> Response | None:
        """Return a response; None if there is none, or if it is not kept any more."""
        return self._kept.get(response_id)
