"""The FastAPI example as its users meet it: HTTP on one side, sound on the other."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from spaces_ctl.engine import Frame, Listener, Refused, Speaker
from tests.engine.conftest import Run
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def the_service() -> AsyncIterator[httpx.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "examples.fastapi_service:app", "--port", "0", "--log-level", "info"),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = ""
        while "running on " not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()
        url = said.split("running on ")[1].split(" ")[0]
        async with httpx.AsyncClient(base_url=url) as http:
            yield http
    finally:
        process.terminate()
        await process.communicate()


def test_a_space_is_opened_heard_muted_and_ended_over_http(run: Run[None]) -> None:
    async def main() -> None:
        async with the_service() as http:
            space = (await http.post("/spaces")).raise_for_status().json()
            url, pin = space["url"], bytes.fromhex(space["certificate_sha256"])
            speaker = Speaker(url, token=space["token"], seat=0, certificate_sha256=pin)
            async with speaker, Listener(url, certificate_sha256=pin) as listener:
                assert (await http.get(f"/spaces/{space['name']}")).json() == {"listeners": 2}
                heard: list[Frame] = []

                async def hear() -> None:
                    async for batch in listener.frames():
                        heard.extend(batch)

                async def talk() -> None:
                    while True:
                        await speaker.send_opus(b"\xf8voice", paced=True)

                hearing, talking = asyncio.create_task(hear()), asyncio.create_task(talk())
                while len(heard) < 10:
                    await asyncio.sleep(0.01)
                answer = await http.put(f"/spaces/{space['name']}/muted", params={"muted": True})
                fence = answer.raise_for_status().json()["fence_group"]
                await asyncio.sleep(0.3)
                count = len(heard)
                assert all(frame.group <= fence for frame in heard)
                await asyncio.sleep(0.3)
                assert len(heard) == count, "nothing is heard of a muted seat"
                assert (await http.delete(f"/spaces/{space['name']}")).status_code == 204
                for task in (hearing, talking):
                    with pytest.raises(Refused, match=r"state\.ended"):
                        await asyncio.wait_for(task, PATIENCE_S)
            assert (await http.get(f"/spaces/{space['name']}")).status_code == 404
            assert (await http.get("/spaces/-")).status_code == 404

    run(main())
