"""The engine without anything else: no third-party package, panics as exceptions, calls without the lock."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spaces_ctl import _engine, engine

ROOT = Path(engine.__file__).parent.parent

ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path = [path for path in sys.path if "site-packages" not in path]
import asyncio
from spaces_ctl.engine import *

async def main():
    signer = TokenSigner.generate()
    async with Engine(EngineConfig(signers=[signer])) as engine:
        stage = [StageRow(seat=0, account=7, role="host")]
        await engine.apply(UpsertSpace(space=9, version=1, stage=stage))
        url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(9)}"
        pin = engine.certificate_sha256
        async with Speaker(url, token=signer.mint(account=7, sid=1), seat=0, certificate_sha256=pin) as speaker:
            async with Listener(url, certificate_sha256=pin) as listener:
                hearing = asyncio.create_task(anext(listener.frames()))
                await asyncio.sleep(0)
                await speaker.send_opus(b"\\xf8abc")
                print((await hearing)[0].opus)

asyncio.run(main())
foreign = [name for name, module in sys.modules.items() if "site-packages" in (getattr(module, "__file__", None) or "")]
assert not foreign, foreign
"""


def test_it_runs_where_nothing_else_is_installed() -> None:
    # -I -S: no site-packages, no environment, no user directory.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", ALONE, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "b'\\xf8abc'"), done.stderr


def test_a_panic_is_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    panic = getattr(_engine, "_panic", None)
    if panic is None:
        pytest.skip("a release build has no such hook")
    with pytest.raises(engine.EnginePanic, match="as the test wants") as raised:
        panic()
    assert isinstance(raised.value, engine.EngineError)
    assert "panicked" in capfd.readouterr().err


def test_waiting_calls_let_other_threads_run() -> None:
    keys = ("spaces", "spaces", list[tuple[str, bytes]]())
    native = _engine.NativeEngine.start(
        host="127.0.0.1",
        port=0,
        shards=1,
        pin_to=[],
        tls=None,
        names=["localhost"],
        keys=keys,
        origins=[],
        recordings=None,
        fsync_ms=0,
        segment_ms=4_000,
        recording_tracks=True,
        max_sessions=10,
        connects_per_address=0,
        idle_timeout_ms=10_000,
        max_heard=13,
        reactions=5,
        reaction_rate=5,
        mix_frame_ms=60,
        mix_bitrate=48_000,
        websocket=None,
    )
    began = int(time.time() * 1000)
    native.apply([("upsert_space", 9, 1, True, False, True, False, True, False, "weak", began, [])])
    listener = _engine.NativeListener.connect(
        (
            f"https://127.0.0.1:{native.address[1]}/spaces/9",
            None,
            [bytes(native.certificate_sha256)],
            None,
            "quic",
            "moqt-18",
            10_000,
        ),
        delays_ms=(20, 500, 40),
        track="stage",
        save_data=False,
        captions=False,
    )
    while not listener.live():
        time.sleep(0.005)
    # With a listener there, draining waits all its time; meanwhile this thread must get on.
    done = threading.Event()

    def drain() -> None:
        native.drain("", 500)
        done.set()

    thread = threading.Thread(target=drain)
    thread.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    assert turns > 10
    listener.close()
    native.stop()
