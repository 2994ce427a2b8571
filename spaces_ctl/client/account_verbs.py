"""What the signed-in account can do to others, and moderators to accounts. One method a command."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl.client.executing import AccountCommands


class AccountVerbs(AccountCommands):
    """What the signed-in account can do to others, and moderators to accounts. One method a command."""

    async def block(self, account: int) -> None:
        """Blocks everywhere; puts them out of live Spaces where one is host or co-host."""
        await self.execute(c.Block(account=account))

    async def unblock(self, account: int) -> None:
        """Undoes `Block`."""
        await self.execute(c.Unblock(account=account))

    async def mute_account(self, account: int) -> None:
        """Hides somebody's clips and posts from oneself."""
        await self.execute(c.MuteAccount(account=account))

    async def unmute_account(self, account: int) -> None:
        """Undoes `MuteAccount`."""
        await self.execute(c.UnmuteAccount(account=account))

    async def follow(self, account: int) -> None:
        """Follows an account."""
        await self.execute(c.Follow(account=account))

    async def unfollow(self, account: int) -> None:
        """Undoes `Follow`."""
        await self.execute(c.Unfollow(account=account))

    async def set_protected(self, on: bool) -> None:
        """Protected accounts cannot create Spaces."""
        await self.execute(c.SetProtected(on=on))

    async def set_listening_visibility(self, visible: bool) -> None:
        """Whether followers see what one listens to."""
        await self.execute(c.SetListeningVisibility(visible=visible))

    async def ban_from_live(self, account: int, reason: str, *, until_ms: int | None = None) -> None:
        """Moderator: no live features until `until_ms` (milliseconds since 1970; None: for good)."""
        await self.execute(c.BanFromLive(account=account, reason=reason, until_ms=until_ms))

    async def lift_ban(self, account: int) -> None:
        """Moderator: undoes `BanFromLive`."""
        await self.execute(c.LiftBan(account=account))

    async def appeal(self, text: str, *, space: int | None = None) -> None:
        """Against a ban (no `space`) or a violation of an own Space."""
        await self.execute(c.Appeal(text=text, space=space))

    async def resolve_appeal(self, appeal: int, grant: bool, *, note: str = "") -> None:
        """Moderator: grants (lifts what was appealed against) or denies."""
        await self.execute(c.ResolveAppeal(appeal=appeal, grant=grant, note=note))
