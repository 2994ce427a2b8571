"""What can be asked of a Space: safety, talk, recordings, reminders. One method a command."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl.client.executing import SpaceCommands
from spaces_ctl.client.views import Done


class TalkVerbs(SpaceCommands):
    """What can be asked of a Space: safety, talk, recordings, reminders. One method a command."""

    async def report_space(self, reason: str, *, detail: str = "") -> Done:
        """Reports the Space to the moderators."""
        return await self.execute(c.ReportSpace(reason=reason, detail=detail))

    async def report_account(self, account: int, reason: str, *, detail: str = "") -> Done:
        """Reports somebody in the Space."""
        return await self.execute(c.ReportAccount(account=account, reason=reason, detail=detail))

    async def report_clip(self, clip: int, reason: str, *, detail: str = "") -> Done:
        """Reports a clip."""
        return await self.execute(c.ReportClip(clip=clip, reason=reason, detail=detail))

    async def mark_violation(self, *, note: str = "") -> Done:
        """Moderator: the Space broke the rules; it is kept longer and its replay withheld."""
        return await self.execute(c.MarkViolation(note=note))

    async def clear_violation(self) -> Done:
        """Moderator: an appeal was right; the replay is no longer withheld."""
        return await self.execute(c.ClearViolation())

    async def react(self, emoji: str) -> Done:
        """Shows an emoji to everybody for a moment; one of `Limits.reactions`."""
        return await self.execute(c.React(emoji=emoji))

    async def share_post(self, post: int) -> Done:
        """Pins a post to the top."""
        return await self.execute(c.SharePost(post=post))

    async def unshare_post(self, post: int) -> Done:
        """Unpins: who pinned it, host, co-hosts."""
        return await self.execute(c.UnsharePost(post=post))

    async def create_poll(self, question: str, options: tuple[str, ...]) -> Done:
        """Asks the room; 2 to 4 options. One poll is open at a time."""
        return await self.execute(c.CreatePoll(question=question, options=options))

    async def vote(self, poll: int, option: int) -> Done:
        """One vote a person."""
        return await self.execute(c.Vote(poll=poll, option=option))

    async def close_poll(self, poll: int) -> Done:
        """No more votes."""
        return await self.execute(c.ClosePoll(poll=poll))

    async def caption_consent(self, on: bool) -> Done:
        """Whether the own speech may be captioned."""
        return await self.execute(c.CaptionConsent(on=on))

    async def show_captions(self) -> Done:
        """Asks whether there is somebody to caption. Raises Forbidden (`captions.no_consent`) if not."""
        return await self.execute(c.ShowCaptions())

    async def stop_recording(self) -> Done:
        """Stops recording for the rest of the Space."""
        return await self.execute(c.StopRecording())

    async def trim_replay(self, start_ms: int) -> Done:
        """The replay begins here, milliseconds from the recording's start."""
        return await self.execute(c.TrimReplay(start_ms=start_ms))

    async def publish_details(self, *, text: str = "") -> Done:
        """Posts the replay's card."""
        return await self.execute(c.PublishDetails(text=text))

    async def delete_replay(self) -> Done:
        """Takes the replay and all clips away for good (the review copy follows retention)."""
        return await self.execute(c.DeleteReplay())

    async def play_replay(self) -> Done:
        """Asks whether the replay may be played; counts the play."""
        return await self.execute(c.PlayReplay())

    async def export(self) -> Done:
        """Asks for one's data."""
        return await self.execute(c.Export())

    async def clip(self, end_ms: int, *, length_ms: int = 30_000, comment: str = "") -> Done:
        """Cuts the part of the Space before `end_ms` (milliseconds since it started), `length_ms` long."""
        return await self.execute(c.Clip(end_ms=end_ms, length_ms=length_ms, comment=comment))

    async def delete_clip(self, clip: int) -> Done:
        """Its author's alone."""
        return await self.execute(c.DeleteClip(clip=clip))

    async def remind_me(self) -> Done:
        """Be told when it starts."""
        return await self.execute(c.RemindMe())

    async def unremind(self) -> Done:
        """Not any more."""
        return await self.execute(c.Unremind())
