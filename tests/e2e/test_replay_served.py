"""A Space that was recorded by `spaces serve` is played from its addresses, trimmed, and deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from spaces_ctl.demo import speech
from tests.e2e.test_recorded_talk import a_talk, serving
from tests.support.patience import PATIENCE_S
from tests.support.players import duration_s, loudness_lufs, played

RATE = 48_000


async def told(web: httpx.AsyncClient, space: str, **wanted: Any) -> dict[str, Any]:
    """What the API tells of the replay, as soon as it tells that."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = (await web.get(f"/api/v1/spaces/{space}/replay")).json()
            if all(answer.get(name) == value for name, value in wanted.items()) and answer["urls"]["m4a"]:
                return dict(answer)
            await asyncio.sleep(0.1)


async def test_a_recorded_space_is_played_trimmed_and_deleted(tmp_path: Path) -> None:
    with serving(tmp_path, str(tmp_path / "kept")) as server:
        async with a_talk(server, speech.voices(2), record=True) as talk:
            await asyncio.sleep(8)
            await talk.end()
            await talk.ready()
            host = talk.clients["hana"].space(talk.space)
            async with httpx.AsyncClient(base_url=server.url) as web:
                replay = await told(web, talk.space)
                assert {person["handle"] for person in replay["speakers"]} == {"hana", "sam"}
                assert "speaker" in [chapter["kind"] for chapter in replay["chapters"]]
                seconds = replay["duration_ms"] / 1000
                for form in ("opus", "m4a", "hls", "hls_opus"):
                    address = server.url + replay["urls"][form]
                    heard = await asyncio.to_thread(played, address)
                    assert len(heard) / RATE == pytest.approx(seconds, abs=0.06), form
                    assert np.abs(heard[-4 * RATE :]).max() > 0.05, form
                    assert await asyncio.to_thread(loudness_lufs, address) == pytest.approx(-16, abs=0.9), form
                first = await asyncio.to_thread(played, server.url + replay["urls"]["opus"])
                await host.trim_replay(3_000)
                shorter = await told(web, talk.space, start_ms=3_000)
                assert shorter["duration_ms"] == replay["duration_ms"] - 3_000
                address = server.url + shorter["urls"]["opus"]
                assert await asyncio.to_thread(duration_s, address) == pytest.approx(seconds - 3, abs=0.02)
                await host.trim_replay(0)
                whole = await told(web, talk.space, start_ms=0)
                assert whole["duration_ms"] == replay["duration_ms"]
                address = server.url + whole["urls"]["opus"]
                again = await asyncio.to_thread(played, address)
                assert np.array_equal(again, first), "made again from the encrypted source, to the sample"
                await host.delete_replay()
                for path in ("", "/audio.opus", "/hls/main.m3u8"):
                    gone = await web.get(f"/api/v1/spaces/{talk.space}/replay{path}")
                    assert (gone.status_code, gone.json()["code"]) == (404, "replay.deleted")
