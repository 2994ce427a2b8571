"""What can be asked of a Space: its life, settings, people and stage. One method a command."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl.client.executing import SpaceCommands
from spaces_ctl.client.views import Done
from spaces_ctl.model import Speak


class StageVerbs(SpaceCommands):
    """What can be asked of a Space: its life, settings, people and stage. One method a command."""

    async def edit(
        self,
        *,
        title: str | None = None,
        description: str | None = None,
        topics: tuple[str, ...] | None = None,
        scheduled_start_ms: int | None = None,
    ) -> Done:
        """Changes what is given; `scheduled_start_ms` (milliseconds since 1970) only while scheduled."""
        return await self.execute(
            c.Edit(title=title, description=description, topics=topics, scheduled_start_ms=scheduled_start_ms)
        )

    async def cancel(self) -> Done:
        """Gives a Space up before it was live."""
        return await self.execute(c.Cancel())

    async def start(self) -> Done:
        """Goes live."""
        return await self.execute(c.Start())

    async def end(self) -> Done:
        """Ends a live Space; the cause follows from who ends it."""
        return await self.execute(c.End())

    async def set_speak(self, speak: Speak) -> Done:
        """Who may take the mic without asking."""
        return await self.execute(c.SetSpeak(speak=speak))

    async def set_requests(self, open: bool) -> Done:
        """Whether people may request to speak."""
        return await self.execute(c.SetRequests(open=open))

    async def set_mic_access(self, open: bool) -> Done:
        """Whether speakers are heard at all; closing mutes them."""
        return await self.execute(c.SetMicAccess(open=open))

    async def set_clips(self, on: bool) -> Done:
        """Whether clips may be made from now on."""
        return await self.execute(c.SetClips(on=on))

    async def set_captions(self, on: bool) -> Done:
        """Whether the Space has captions (of those who consent)."""
        return await self.execute(c.SetCaptions(on=on))

    async def set_record(self, on: bool) -> Done:
        """Whether it will be recorded; frozen at the start."""
        return await self.execute(c.SetRecord(on=on))

    async def leave(self) -> Done:
        """Goes for good: the role is lost."""
        return await self.execute(c.Leave())

    async def request(self) -> Done:
        """Raises a hand."""
        return await self.execute(c.Request())

    async def withdraw(self) -> Done:
        """Takes the own request back."""
        return await self.execute(c.Withdraw())

    async def approve(self, account: int) -> Done:
        """Gives the requester a seat, muted."""
        return await self.execute(c.Approve(account=account))

    async def reject(self, account: int) -> Done:
        """Closes a request."""
        return await self.execute(c.Reject(account=account))

    async def invite(self, account: int) -> Done:
        """Invites somebody to speak, in the Space or outside."""
        return await self.execute(c.Invite(account=account))

    async def withdraw_invite(self, account: int) -> Done:
        """Takes an invitation (to speak or to co-host) back."""
        return await self.execute(c.WithdrawInvite(account=account))

    async def decline_invite(self) -> Done:
        """Says no to the own invitation."""
        return await self.execute(c.DeclineInvite())

    async def take_mic(self) -> Done:
        """Takes a seat: invited before, or the Space's permission lets everybody of one's kind."""
        return await self.execute(c.TakeMic())

    async def step_down(self) -> Done:
        """Back to listening."""
        return await self.execute(c.StepDown())

    async def unmute(self) -> Done:
        """Opens the own mic. Nobody else's."""
        return await self.execute(c.Unmute())

    async def revoke(self, account: int) -> Done:
        """Sends a speaker back to the audience."""
        return await self.execute(c.Revoke(account=account))

    async def mute(self, account: int) -> Done:
        """Closes somebody's mic, or the own."""
        return await self.execute(c.Mute(account=account))

    async def mute_all(self) -> Done:
        """Closes all speakers' mics; not the hosts'."""
        return await self.execute(c.MuteAll())

    async def ask_unmute(self, account: int) -> Done:
        """Asks somebody to open their mic."""
        return await self.execute(c.AskUnmute(account=account))

    async def add_cohost(self, account: int) -> Done:
        """Invites somebody present to co-host."""
        return await self.execute(c.AddCohost(account=account))

    async def drop_cohost(self, account: int) -> Done:
        """Ends somebody's (or the own) co-hosting; they listen."""
        return await self.execute(c.DropCohost(account=account))

    async def accept_cohost(self) -> Done:
        """Becomes co-host."""
        return await self.execute(c.AcceptCohost())

    async def transfer(self, account: int) -> Done:
        """Makes a co-host the primary admin; the roles swap."""
        return await self.execute(c.Transfer(account=account))

    async def remove(self, account: int, *, allow_rejoin: bool | None = None) -> Done:
        """Puts somebody out."""
        return await self.execute(c.Remove(account=account, allow_rejoin=allow_rejoin))

    async def readmit(self, account: int) -> Done:
        """Lets somebody who was removed come in again."""
        return await self.execute(c.Readmit(account=account))
