"""How the web app sounds over bad networks, in real Chromium: `python -m bench.browser`.

A native client speaks (LibriVox, public domain) at `spaces serve --dev`; Chromium listens with the web app's live
sound (web/tests/harness: the same modules, without views) through a seeded UDP proxy (`tests/support/lossy_udp.py`)
that loses and delays every datagram by itself, in both directions, QUIC's own ones too. What the AudioWorklet played is
compared with what was said. One JSON row for each network:

- `loss`, `jitter_ms`: share lost; delay added to each datagram, uniform from 0 to this, overtaking allowed
- `concealed`: share of the played samples that the decoder made up; `fec`: that came from the next packet's in-band
  error correction; `repeated`: share of ticks that a repetition in the next bundle filled
- `delay_ms`: delay of the jitter buffer over that of the fastest packets, in the mean of one sample a second;
  `target_ms` likewise what it aims for; `output_ms`: from the worklet to the ear, as Chromium says
- `longest_gap_ms`: longest silence where speech should be (25 dB below the source; 0: none of 12.5 ms and more);
  `gaps_over_60_ms`: how many are longer than 60 ms
- `pesq` (P.862.2), `stoi`
- `joined_ms`: from the click to the first sound, output latency included, of `joins` fresh joins: p50, p99 and most
- `slowest_render_ms`: longest that the worklet took for 2.7 ms of sound, as a clock of whole milliseconds sees it

`--seconds` and `--joins` set how much is measured; `--quick` measures three rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from spaces_ctl.demo.speech import voices
from tests.support.audio import Pcm, Unaligned, compare
from tests.support.live_harness import LivePage, live_page
from tests.support.live_scene import Stage, live_stage, place
from tests.support.lossy_udp import Network, lossy_udp

LOSSES = (0.0, 0.01, 0.02, 0.05, 0.10)
JITTERS_MS = (0.0, 20.0, 50.0)
QUICK = ((0.0, 0.0), (0.05, 20.0), (0.10, 50.0))
_RATE = 48_000


async def sound(stage: Stage, page: LivePage, network: Network, said: Pcm) -> dict[str, Any]:
    """One talk over one network."""
    with lossy_udp(stage.port, network) as proxy:
        await stage.open(page)
        await page.listen(await stage.admission(proxy))
        await page.until("l.phase === 'live'", 30)
        talk = asyncio.create_task(stage.say(said))
        delays: list[tuple[float, float]] = []
        while not talk.done():
            await page.rest(1)
            counts = await page.counts()
            delays.append((counts.get("delayMs", 0.0), counts.get("targetMs", 0.0)))
        await talk
        await page.rest(1.5)
        counts = await page.counts()
        pcm = await page.pcm()
        await page.call("close")
        lost, passed = proxy.counts.lost, proxy.counts.passed
    played = max(1, counts["decodedSamples"] + counts["fecSamples"] + counts["concealedSamples"])
    # The first seconds show the adaptation, not the state: they are in the sound, not in the mean.
    settled = np.array(delays[3:] or delays)
    row: dict[str, Any] = {
        "loss": network.loss,
        "jitter_ms": network.jitter_ms,
        "lost_datagrams": round(lost / max(1, lost + passed), 4),
        "concealed": round(counts["concealedSamples"] / played, 4),
        "fec": round(counts["fecSamples"] / played, 4),
        "repeated": round(counts["redundantPackets"] * 960 / played, 4),
        "delay_ms": round(float(settled[:, 0].mean())),
        "target_ms": round(float(settled[:, 1].mean())),
        "output_ms": round(counts["outputMs"]),
        "slowest_render_ms": counts["slowestMs"],
    }
    try:
        quality = compare(said, pcm)
    except Unaligned as error:
        return row | {"error": str(error)}
    return row | {
        "longest_gap_ms": quality.longest_hole_ms,
        "gaps_over_60_ms": len(quality.holes_ms),
        "pesq": None if quality.pesq is None else round(quality.pesq, 2),
        "stoi": round(quality.stoi, 3),
    }


async def joins(stage: Stage, page: LivePage, network: Network, said: Pcm, count: int) -> dict[str, Any]:
    """How soon somebody who joins while somebody talks hears it."""
    took: list[float] = []
    async with stage.talking(said):
        for n in range(count):
            with lossy_udp(stage.port, Network(**{**_fields(network), "seed": network.seed + n})) as proxy:
                await stage.open(page)
                await page.listen(await stage.admission(proxy))
                await page.until("l.joinedInMs !== null", 30)
                took.append((await page.look())["joinedInMs"])
                await page.call("close")
    if not took:
        return {}
    p50, p99 = np.percentile(took, [50, 99])
    return {"joins": count, "joined_ms": {"p50": round(p50), "p99": round(p99), "most": round(max(took))}}


def _fields(network: Network) -> dict[str, Any]:
    return {name: getattr(network, name) for name in network.__slots__}


async def measure(options: argparse.Namespace) -> None:
    """Prints the rows as they come."""
    whole = voices(1)[0].samples
    said = whole[: int(options.seconds * _RATE)]
    networks = QUICK if options.quick else [(loss, jitter) for jitter in JITTERS_MS for loss in LOSSES]
    with tempfile.TemporaryDirectory() as directory, place(Path(directory)) as at:
        async with live_stage(at) as stage, live_page() as page:
            for loss, jitter in networks:
                network = Network(loss=loss, jitter_ms=jitter, seed=options.seed)
                row = await sound(stage, page, network, said)
                row |= await joins(stage, page, network, said, options.joins)
                row["load"] = round(os.getloadavg()[0], 1)
                print(json.dumps(row), flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.browser", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="speech for each network")
    parser.add_argument("--joins", type=int, default=20, help="joins for each network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
