"""The examples, run as a reader would."""

import asyncio
import math
import sys
import wave
from array import array
from pathlib import Path

import pytest

from tests.engine.conftest import Run, a_stage, voice
from tests.support.listening import Spoilt, again_if_spoilt

pytestmark = pytest.mark.alone

SECONDS = 6
"""The listener's; the bot begins in a process that is started meanwhile, and speaks for one."""
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


async def command(name: str, *args: str) -> str:
    """Runs an example; returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(EXAMPLES / name), *args, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@again_if_spoilt
def test_a_bot_speaks_a_file_and_a_listener_writes_it_down(run: Run[None], tmp_path: Path) -> None:
    spoken, heard = tmp_path / "spoken.wav", tmp_path / "heard.wav"
    with wave.open(str(spoken), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(voice(1.0).tobytes())

    async def main() -> None:
        async with a_stage() as stage:
            pin = stage.pin.hex()
            listening = asyncio.create_task(
                command(
                    "listener_writes_wav.py", stage.url, str(heard), "--seconds", str(SECONDS), "--certificate", pin
                )
            )
            while (await stage.engine.stats()).sessions == 0:
                await asyncio.sleep(0.02)
            said = await command(
                "bot_speaks_file.py",
                stage.url,
                str(spoken),
                "--token",
                stage.token(1),
                "--seat",
                "1",
                "--certificate",
                pin,
            )
            assert said == "spoke 51 frames\n"
            if "heard 51 frames" not in (told := await listening):
                raise Spoilt(told)

    run(main())
    with wave.open(str(heard), "rb") as recorded:
        assert recorded.getparams()[:3] == (1, 2, 48_000)
        assert recorded.getnframes() == SECONDS * 48_000
        samples = array("h", recorded.readframes(recorded.getnframes()))
    loud = [math.sqrt(sum(s * s for s in samples[at : at + 960]) / 960) > 300 for at in range(0, len(samples), 960)]
    if not 40 <= sum(loud) <= 60:
        raise Spoilt(f"a second of voice, the rest silence: {sum(loud)} frames")
