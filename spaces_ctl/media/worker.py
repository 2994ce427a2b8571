"""The media worker: a process beside the server that puts recordings away, packages replays and cuts clips.

`python -m spaces_ctl.media.worker FD` is started by `remote.RemoteWorker` (`child`). Whatever it was doing when its
server died is asked for again by the next one. It has a low priority (nice 10), so that its work never takes time from
the audio.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

from spaces_ctl import segments
from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.media import child
from spaces_ctl.media.archive import Archive, Keys
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.following import Follower, NewPackager
from spaces_ctl.media.live import Broadcast
from spaces_ctl.media.objects import BadStoreUrl, NoObject, Objects, StoreUnavailable
from spaces_ctl.media.operations import OPERATIONS
from spaces_ctl.media.packaging import Packager
from spaces_ctl.media.patience import PatientObjects, Sleep, Tally
from spaces_ctl.media.requests import OfSpace, Open
from spaces_ctl.media.spool import LogFiles, Spool

__all__ = ["Worker", "main"]

_NICE = 10
_log = logging.getLogger("spaces_ctl.media.worker")


class Worker:
    """What every operation works on. Use it with `async with`."""

    def __init__(
        self,
        opened: Open,
        *,
        objects: Objects | None = None,
        files: LogFiles = segments,
        packager: NewPackager = Packager,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`objects`: another store than that of `opened`; `files`: another way to read logs. Raises BadStoreUrl."""
        self.new_packager = packager
        self.settings = opened
        self.clock = clock or SystemClock()
        self.sleep = sleep
        self.objects = objects or Objects.open(
            opened.store, access_key_id=opened.access_key_id, secret_access_key=opened.secret_access_key
        )
        """For what somebody waits for: raises StoreUnavailable."""
        self.tally = Tally()
        self.patient = PatientObjects(self.objects, self.tally, at_once=opened.uploads, sleep=sleep)
        """For what has to be done, however long it takes."""
        self.keys = Keys()
        self.spool = Spool(Path(opened.spool), files)
        self.archive = Archive(spool=self.spool, objects=self.objects, keys=self.keys)
        self.patient_archive = Archive(spool=self.spool, objects=self.patient, keys=self.keys)
        self.low_space = False
        self.followers: dict[int, Follower] = {}
        """Of live Spaces."""
        self.finishing: dict[int, Follower] = {}
        """Of those that have ended."""
        self.broadcasts: dict[int, Broadcast] = {}
        """Of Spaces that somebody hears by HTTP."""
        self._running: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._making: dict[int, set[asyncio.Task[bytes]]] = {}
        """Of each Space, what is under way that writes objects of it."""

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops in the middle of whatever is under way."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for follower in list(self.followers.values()):
            await follower.stop()
        for broadcast in list(self.broadcasts.values()):
            await broadcast.stop()

    async def answer(self, operation: str, body: bytes) -> bytes:
        """Carries out one operation. The same request that is under way already is not begun twice.

        Raises MediaError.
        """
        key = (operation, body)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._carry_out(operation, body), name=operation)
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def interrupt(self, space: int) -> None:
        """Whatever is being made of the Space is given up: it, or a part, is to be deleted. Who asked may ask again."""
        tasks = self._making.get(space, set()) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, operation: str, body: bytes) -> bytes:
        handler = OPERATIONS.get(operation)
        if handler is None:
            raise MediaError("internal", f"no such operation: {operation}")
        try:
            kind = typing.get_type_hints(handler, localns={"Worker": Worker})[
                list(inspect.signature(handler).parameters)[1]
            ]
            request = msgspec.msgpack.decode(body, type=kind)
            if not isinstance(request, OfSpace):
                return msgspec.msgpack.encode(await handler(self, request))
            self.keys.learn(request.space, request.key)
            with self._known_as_making(request.space):
                return msgspec.msgpack.encode(await handler(self, request))
        except asyncio.CancelledError:
            raise MediaError("interrupted", operation) from None
        except MediaError:
            raise
        except StoreUnavailable as error:
            raise MediaError("store.unavailable", str(error)) from error
        except NoObject as error:
            raise MediaError("source.gone", str(error)) from error
        except Exception as error:
            _log.exception("%s failed", operation)
            raise MediaError("internal", f"{type(error).__name__}: {error}") from error

    @contextlib.contextmanager
    def _known_as_making(self, space: int) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        making = self._making.setdefault(space, set())
        making.add(task)
        try:
            yield
        finally:
            making.discard(task)
            if not making:
                self._making.pop(space, None)


def _opened(opened: Open) -> Worker:
    try:
        return Worker(opened)
    except BadStoreUrl as error:
        raise MediaError("store.bad", str(error)) from error


def main(arguments: list[str]) -> None:
    """The process."""
    child.main(arguments, Open, _opened, nice=_NICE)


if __name__ == "__main__":
    main(sys.argv[1:])
