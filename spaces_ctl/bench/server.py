"""Our server for the bench, as a process of its own: `python -P server.py OPTIONS`, OPTIONS one JSON object.

Prints one JSON line and runs until killed. Run by path, so that the engine under test may be another build than the one
that drives the bench.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from spaces_ctl.engine import Engine, EngineConfig, StageRow, TokenSigner, UpsertSpace, space_name

FIRST_SPACE = 1_000_000


async def main(options: dict[str, Any]) -> None:
    """Serve."""
    signer = TokenSigner.generate()
    config = EngineConfig(
        bind=(options["host"], 0),
        signers=[signer],
        shards=options["shards"],
        pin_to=options["cores"],
        names=["localhost", options["host"]],
        mix_frame_ms=options["mix_frame_ms"],
        mix_bitrate=options["mix_bitrate"],
    )
    async with Engine(config) as engine:
        stage = [
            StageRow(seat=seat, account=seat + 1, role="host" if seat == 0 else "speaker")
            for seat in range(options["speakers"])
        ]
        spaces = [FIRST_SPACE + number for number in range(options["spaces"])]
        for space in spaces:
            await engine.apply(UpsertSpace(space=space, version=1, stage=stage, mix=options["mix"]))
        host, port = engine.address
        report = {
            "address": f"{host}:{port}",
            "certificate": engine.certificate_sha256.hex(),
            "spaces": [
                {
                    "name": space_name(space),
                    "url": f"https://{host}:{port}/spaces/{space_name(space)}",
                    # One session a token: every Space has its own.
                    "tokens": [signer.mint(account=row.account, sid=space * 16 + row.seat) for row in stage],
                }
                for space in spaces
            ],
        }
        print(json.dumps(report), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
