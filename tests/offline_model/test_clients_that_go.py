"""What is begun is stopped when its client goes, and is counted."""

import asyncio

import httpx
import pytest

BODY = {"model": "m", "messages": [{"role": "user", "content": "Tell me a long story, please."}]}


async def counts(model) -> dict[str, int]:
    return (await model.get("/offline/counts")).json()


async def until_counted(model, **wanted: int) -> None:
    async with asyncio.timeout(10):
        while not wanted.items() <= (await counts(model)).items():
            pass  # the server hears of it by the network; asking takes a moment


async def test_stream_drips_and_ends_when_its_client_goes(start_model) -> None:
    model = await start_model(OFFLINE_MODEL_DRIP_MS="50")
    async with model.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.aiter_lines()
        assert "assistant" in await anext(lines)
        assert (await counts(model))["answered"] == 0
    await until_counted(model, received=1, answered=0, broken_off=1)


async def test_stream_that_is_read_to_its_end_is_answered(start_model) -> None:
    model = await start_model(OFFLINE_MODEL_DRIP_MS="1")
    reply = await model.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert reply.text.endswith("data: [DONE]\n\n")
    assert await counts(model) == {"received": 1, "answered": 1, "broken_off": 0, "cancelled": 0}


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
async def test_reply_that_nobody_waits_for_any_more_is_not_given(start_model, path) -> None:
    model = await start_model(OFFLINE_MODEL_LATENCY_MS="60000")
    with pytest.raises(httpx.ReadTimeout):
        await model.post(f"/v1/{path}", json={**BODY, "input": "Hello"}, timeout=0.2)
    await until_counted(model, received=1, answered=0, broken_off=1)
