"""Whole rounds on loopback, with a handful of listeners: that figures are there and right, never how good they are."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from spaces_ctl.bench import processes
from spaces_ctl.bench.load import Group, Linear, Network
from spaces_ctl.bench.measuring import JOINERS, Round, measure
from spaces_ctl.bench.servers import Tools

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tools() -> Tools:
    """The programs, as `cargo test --workspace` has built them already: with the features of the whole workspace."""
    command = ["cargo", "build", "--quiet", "--profile", "ci", "--locked", "--bins", "-p", "spaces-bench-load"]
    subprocess.run([*command, "-p", "spaces-py", "--features", "spaces-py/as-in-workspace"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Tools(programs=target / "ci", peers=target / "bench" / "peers")


@pytest.mark.parametrize("server", ["spaces", "plain-quinn"])
async def test_listeners_of_the_stage_hear_every_speaker_whole(tools: Tools, server: str) -> None:
    found = await measure(Round(scenario="test", server=server, listeners=5, speakers=2, seconds=1), tools)
    assert found.expected == 5 * 2 * 50
    assert 0 < found.delivered <= found.expected
    assert (found.failed, found.broken) == (0, 0)
    assert found.checked > 0
    assert sum(count for _, count in found.latency_us) == found.delivered
    assert found.version


async def test_listeners_of_the_mix_are_counted_in_frames_and_joiners_leave_after_their_first_audio(
    tools: Tools,
) -> None:
    joiners = Group(name=JOINERS, tier="mix", listeners=5, curve=Linear(10.0), starts="on_begin", stays="until_audio")
    what = Round(scenario="test", tier="mix", listeners=4, spaces=2, seconds=2, others=(joiners,))
    found = await measure(what, tools)
    # Ticks that were due in two seconds, the same for everybody, whatever tick their packets begin with.
    assert found.expected % 4 == 0
    assert 0 < found.delivered <= found.expected <= 4 * 100
    assert (found.broken, found.joiners_failed) == (0, 0)
    assert found.joiners == 5
    assert sum(count for _, count in found.first_audio_us) == 5


async def test_stalled_listeners_and_a_bad_network_are_beside_the_figure_not_in_it(tools: Tools) -> None:
    stalled = Group(name="stalled", listeners=2, behaviour="stalled")
    what = Round(scenario="test", listeners=3, seconds=1, network=Network(loss=0.02, jitter_ms=5), others=(stalled,))
    found = await measure(what, tools)
    assert found.expected == 3 * 50
    assert found.broken == 0


async def test_who_keeps_a_core_awake_is_in_nobodys_way_and_gone_afterwards(tools: Tools) -> None:
    what = Round(scenario="test", listeners=3, seconds=1, awake=True)
    async with processes.awake((0,)):
        (spinner,) = (child for child in psutil.Process().children() if "awake.py" in child.cmdline()[-1])
        assert os.sched_getscheduler(spinner.pid) == os.SCHED_IDLE
        assert os.sched_getaffinity(spinner.pid) == {0}
    assert not spinner.is_running()
    found = await measure(what, tools)
    assert found.awake
    assert found.expected == 3 * 50
    assert found.delivered > 0


async def test_optimists_are_thrown_out_and_nobody_else(tools: Tools) -> None:
    others = (
        Group(name="optimists", listeners=2, behaviour="optimists"),
        Group(name="tiny", listeners=3, behaviour="tiny_windows"),
    )
    found = await measure(Round(scenario="test", listeners=3, seconds=1, others=others), tools)
    assert found.expected == 3 * 50
    assert found.delivered > 0
    assert (found.failed, found.broken, found.others_gone) == (0, 0, 2)
