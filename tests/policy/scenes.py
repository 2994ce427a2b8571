"""Spaces in which the examples begin. 1 is the creator; whoever comes, comes by name."""

from __future__ import annotations

from typing import Any

from spaces_ctl import commands as c
from spaces_ctl.model import Status
from spaces_ctl.policy import Limits
from tests.policy.world import World

HOST = 1


def lobby(limits: Limits | None = None, **settings: Any) -> World:
    """Created, not started."""
    world = World(Limits() if limits is None else limits)
    world.ok(c.Create(**settings), HOST)
    assert world.state.status in (Status.LOBBY, Status.SCHEDULED)
    return world


def live(limits: Limits | None = None, *, people: int = 5, **settings: Any) -> World:
    """Live, mic access on, with accounts 2 to `people` listening."""
    world = lobby(limits, **settings)
    world.ok(c.Start(), HOST)
    world.come(HOST)
    world.ok(c.SetMicAccess(open=True), HOST)
    for account in range(2, people + 1):
        assert world.come(account)
    return world


def speaker(world: World, account: int) -> None:
    """Becomes speaker by request."""
    world.come(account)
    world.ok(c.Request(), account)
    world.ok(c.Approve(account=account), world.state.admin)
    world.check()


def cohost(world: World, account: int) -> None:
    """Becomes co-host by the host's invitation."""
    world.come(account)
    world.ok(c.AddCohost(account=account), world.state.admin)
    world.ok(c.AcceptCohost(), account)
    world.check()


def drops(world: World, account: int) -> None:
    """Loses the connection and does not come back in time."""
    world.go(account, lost=True)
    world.wait(world.limits.resume_window_ms)
    world.check()


def ended(limits: Limits | None = None, *, ready: bool = True, **settings: Any) -> World:
    """Over after a minute, recorded, the replay available if `ready`."""
    world = live(limits, **{"record": True, **settings})
    world.wait(60_000)
    world.ok(c.End(), HOST)
    if ready:
        world.ok(c.ReplayReady(duration_ms=60_000))
    return world
