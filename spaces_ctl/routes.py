"""Where each command lives on our HTTP API: one table for the server's handlers and for the typed client.

Paths are relative to `/api/v1/spaces/{space}` (`SPACE_ROUTES`) and `/api/v1` (`ACCOUNT_ROUTES`). A name in braces is
the field of that name, the other fields are the JSON body (none: no body).
Commands of timers, engine and payment provider have no route.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from spaces_ctl import commands as c

Method = Literal["POST", "PUT", "PATCH", "DELETE"]


class Route(NamedTuple):
    """Method and path of a command."""

    method: Method
    path: str


SPACE_ROUTES: dict[type[c.SpaceCommand], Route] = {
    c.Edit: Route("PATCH", ""),
    c.Cancel: Route("POST", "/cancel"),
    c.Start: Route("POST", "/start"),
    c.End: Route("POST", "/end"),
    c.SetSpeak: Route("PUT", "/settings/speak"),
    c.SetRequests: Route("PUT", "/settings/requests"),
    c.SetMicAccess: Route("PUT", "/settings/mic-access"),
    c.SetClips: Route("PUT", "/settings/clips"),
    c.SetCaptions: Route("PUT", "/settings/captions"),
    c.SetRecord: Route("PUT", "/settings/record"),
    c.Leave: Route("POST", "/leave"),
    c.Request: Route("PUT", "/request"),
    c.Withdraw: Route("DELETE", "/request"),
    c.Approve: Route("POST", "/requests/{account}/approve"),
    c.Reject: Route("POST", "/requests/{account}/reject"),
    c.Invite: Route("PUT", "/invites/{account}"),
    c.WithdrawInvite: Route("DELETE", "/invites/{account}"),
    c.DeclineInvite: Route("POST", "/invite/decline"),
    c.TakeMic: Route("PUT", "/mic"),
    c.StepDown: Route("DELETE", "/mic"),
    c.Unmute: Route("POST", "/mic/unmute"),
    c.Revoke: Route("POST", "/stage/{account}/revoke"),
    c.Mute: Route("POST", "/stage/{account}/mute"),
    c.MuteAll: Route("POST", "/stage/mute-all"),
    c.AskUnmute: Route("POST", "/stage/{account}/ask-unmute"),
    c.AddCohost: Route("PUT", "/cohosts/{account}"),
    c.DropCohost: Route("DELETE", "/cohosts/{account}"),
    c.AcceptCohost: Route("POST", "/cohost/accept"),
    c.Transfer: Route("POST", "/transfer"),
    c.Remove: Route("POST", "/people/{account}/remove"),
    c.Readmit: Route("POST", "/people/{account}/readmit"),
    c.ReportSpace: Route("POST", "/reports"),
    c.ReportAccount: Route("POST", "/people/{account}/reports"),
    c.ReportClip: Route("POST", "/clips/{clip}/reports"),
    c.MarkViolation: Route("PUT", "/violation"),
    c.ClearViolation: Route("DELETE", "/violation"),
    c.React: Route("POST", "/reactions"),
    c.SharePost: Route("PUT", "/posts/{post}"),
    c.UnsharePost: Route("DELETE", "/posts/{post}"),
    c.CreatePoll: Route("POST", "/polls"),
    c.Vote: Route("PUT", "/polls/{poll}/vote"),
    c.ClosePoll: Route("POST", "/polls/{poll}/close"),
    c.CaptionConsent: Route("PUT", "/captions/consent"),
    c.ShowCaptions: Route("POST", "/captions/show"),
    c.StopRecording: Route("POST", "/recording/stop"),
    c.TrimReplay: Route("PATCH", "/replay"),
    c.PublishDetails: Route("POST", "/replay/publish"),
    c.DeleteReplay: Route("DELETE", "/replay"),
    c.PlayReplay: Route("POST", "/replay/plays"),
    c.Export: Route("POST", "/export"),
    c.Clip: Route("POST", "/clips"),
    c.DeleteClip: Route("DELETE", "/clips/{clip}"),
    c.RemindMe: Route("PUT", "/reminder"),
    c.Unremind: Route("DELETE", "/reminder"),
}
"""`Create` is `POST /api/v1/spaces`, `Join` is `POST .../join` (it answers with a token); tickets: checkout."""

ACCOUNT_ROUTES: dict[type[c.AccountCommand], Route] = {
    c.Block: Route("PUT", "/me/blocks/{account}"),
    c.Unblock: Route("DELETE", "/me/blocks/{account}"),
    c.MuteAccount: Route("PUT", "/me/mutes/{account}"),
    c.UnmuteAccount: Route("DELETE", "/me/mutes/{account}"),
    c.Follow: Route("PUT", "/me/following/{account}"),
    c.Unfollow: Route("DELETE", "/me/following/{account}"),
    c.SetProtected: Route("PUT", "/me/protected"),
    c.SetListeningVisibility: Route("PUT", "/me/listening-visibility"),
    c.BanFromLive: Route("PUT", "/moderation/bans/{account}"),
    c.LiftBan: Route("DELETE", "/moderation/bans/{account}"),
    c.Appeal: Route("POST", "/appeals"),
    c.ResolveAppeal: Route("POST", "/moderation/appeals/{appeal}/resolve"),
}
