"""A whole Space with the typed client: create, start, invite, take the mic, mute, end.

    pip install 'spaces-ctl[client]'
    python examples/host_a_space.py http://127.0.0.1:8420 HOST_TOKEN SPEAKER_TOKEN

`spaces serve --dev` prints the tokens. Prints what happened, as the event stream told it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

from spaces_ctl.client import Conflict, SpacesClient
from spaces_ctl.client.space import Space
from spaces_ctl.engine import Listener


async def come_in(space: Space) -> Listener:
    """Asks for admission; entering the listener connects for the audio, by name."""
    admission = await space.join()
    pin = admission.certificate_sha256
    return Listener(
        admission.urls[0], token=admission.token, certificate_sha256=None if pin is None else bytes.fromhex(pin)
    )


async def main(url: str, host_token: str, speaker_token: str) -> list[str]:
    """Runs the Space; returns the names of its events."""
    async with SpacesClient(url, token=host_token) as host, SpacesClient(url, token=speaker_token) as speaker:
        me = (await speaker.me.get()).account
        created = await host.spaces.create(title="Tea")
        room, seat = host.space(created.id), speaker.space(created.id)
        await room.start()
        await room.set_mic_access(True)

        async with await come_in(room), await come_in(seat):
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
