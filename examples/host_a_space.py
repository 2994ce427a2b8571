"""A whole Space with the typed client: create, start, invite, speak, mute, end.

    pip install 'spaces-ctl[client]'
    python examples/host_a_space.py http://127.0.0.1:8420 HOST_TOKEN SPEAKER_TOKEN

`spaces serve --dev` prints the tokens. Prints what happened, as the event stream told it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

from spaces_ctl.client import Conflict, SpacesClient


async def main(url: str, host_token: str, speaker_token: str) -> list[str]:
    """Runs the Space; returns the names of its events."""
    async with SpacesClient(url, token=host_token) as host, SpacesClient(url, token=speaker_token) as speaker:
        me = (await speaker.me.get()).account
        space = await host.spaces.create(title="Tea", topics=("tea",))
        print(f"{url}/{space.id}")
        room = host.space(space.id)
        seat = speaker.space(space.id)

        await room.start()
        await room.set_mic_access(True)
        await room.invite(me.id)
        await seat.take_mic()
        await seat.unmute()

        done = await room.mute(me.id)
        print(f"no frame of {me.handle} is sent after group {done.fence_group}")
        try:
            await room.invite(me.id)
        except Conflict as error:
            print(f"refused: {error.code}")
        await room.end()

        told: list[str] = []
        async with aclosing(room.events(after=0)) as events:
            async for event in events:
                if event.version is not None:
                    told.append(event.event)
                if event.event == "ended":
                    break
    return told


if __name__ == "__main__":
    print("\n".join(asyncio.run(main(*sys.argv[1:4]))))
