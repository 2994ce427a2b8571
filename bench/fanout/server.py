"""Our server for the bench: one Space, its shard pinned to the core given. Prints one JSON line, runs until killed."""

from __future__ import annotations

import asyncio
import json
import sys

from spaces_ctl.engine import Engine, EngineConfig, StageRow, TokenSigner, UpsertSpace, space_name

SPACE = 1_000_000


async def main(core: int, speakers: int) -> None:
    """Serve."""
    signer = TokenSigner.generate()
    async with Engine(EngineConfig(signers=[signer], pin_to=[core])) as engine:
        stage = [
            StageRow(seat=seat, account=seat + 1, role="host" if seat == 0 else "speaker") for seat in range(speakers)
        ]
        await engine.apply(UpsertSpace(space=SPACE, version=1, stage=stage))
        host, port = engine.address
        report = {
            "address": f"{host}:{port}",
            "url": f"https://{host}:{port}/spaces/{space_name(SPACE)}",
            "space": space_name(SPACE),
            "certificate": engine.certificate_sha256.hex(),
            "tokens": [signer.mint(account=row.account, sid=row.account) for row in stage],
        }
        print(json.dumps(report), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
