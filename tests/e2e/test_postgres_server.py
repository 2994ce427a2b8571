"""`spaces serve` on PostgreSQL: killed in mid-Space and started again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from spaces_ctl.client import SpacesClient
from tests.support.databases import PostgresCluster
from tests.support.real_server import real_server
from tests.support.watching import Watcher, listener


async def test_a_live_space_survives_kill_9_of_a_server_on_postgresql(
    tmp_path: Path, postgres_cluster: PostgresCluster
) -> None:
    name = await postgres_cluster.create(tables=False)
    with real_server(tmp_path, database=postgres_cluster.url(name)) as server:
        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(SpacesClient(server.url))
            sam = await stack.enter_async_context(SpacesClient(server.url))
            await host.register("hana", "correct horse")
            sam_id = (await sam.register("sam", "correct horse")).account.id
            made = await host.spaces.create(title="Tea")
            room, seat = host.space(made.id), sam.space(made.id)
            await room.start()
            await room.set_mic_access(True)
            async with listener(await room.join()), listener(await seat.join()):
                await room.invite(sam_id)
                await seat.take_mic()
                await seat.unmute()
                muted = await room.mute(sam_id)
            assert muted.fence_group is not None
            url = server.url
            watcher = await stack.enter_async_context(Watcher(sam, made.id))
            await watcher.sees("muted", account=str(sam_id))

            server.kill()
            server.start()

            assert server.url == url
            after = await room.get()
            assert (after.status, after.version >= muted.version) == ("live", True)
            assert [(one.account, one.muted) for one in after.stage if one.account == sam_id] == [(sam_id, True)]
            # A join token of the new process leads into the Space as it was; the old session still is one.
            async with listener(await room.join()), listener(await seat.join()):
                assert sam_id in [person.profile.id async for person in room.people()]
                await seat.unmute()
            # Who watched goes on where the stream broke off.
            await watcher.sees("unmuted", account=str(sam_id))
            versions = [one.version for one in watcher.events if one.version is not None]
            assert versions == sorted(set(versions))
            await room.end()
            await watcher.sees("ended")
    await postgres_cluster.drop(name)
