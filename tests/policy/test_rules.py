"""The table of rules: complete, and as the catalogue has it."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, Role, Status
from spaces_ctl.policy import RULES, Denied, Facts, Limits, Space, decide
from spaces_ctl.policy.accounts import ACCOUNT_RULES
from spaces_ctl.policy.codes import CODES
from spaces_ctl.policy.matrix import render
from spaces_ctl.policy.rules import AREAS
from tests.policy.strategies import plain

ROOT = Path(__file__).resolve().parents[2]

# Section 2 of the catalogue, with what its section 7 puts right: Cancel and Readmit also by a moderator, Blocked at any
# time. HostLost is ConnectionLost and ResumeExpired here, which concern everybody of the stage.
CATALOGUE = """
Create       |       | O   | new                  | account.live_banned account.protected account.followers_required community.role_required topics.too_many schedule.out_of_range schedule.quota
Edit         | H     |     | live lobby scheduled | topics.too_many schedule.not_scheduled schedule.out_of_range
Cancel       | H     | M   | lobby scheduled      |
Start        | H     |     | lobby scheduled      | account.live_banned
End          | H     | M Y | live                 |
SetSpeak     | H     |     | live lobby scheduled |
SetRequests  | H     |     | live lobby scheduled |
SetMicAccess | H C   |     | live                 |
SetClips     | H     |     | live lobby scheduled |
Join         |       | A G O | live               | participant.removed participant.blocked_by_host ticket.required
Leave        | H C S L A G | | live               |
Request      | L     |     | live                 | participant.not_in_space account.live_banned requests.closed requests.duplicate
Withdraw     | L     |     | live                 | requests.none
Approve      | H C   |     | live                 | requests.none participant.removed target.live_banned stage.full
Reject       | H C   |     | live                 | requests.none
Invite       | H C   |     | live lobby scheduled | target.already_on_stage participant.removed target.live_banned target.anonymous
TakeMic      | L     |     | live                 | participant.not_in_space account.live_banned stage.not_invited stage.full
StepDown     | C S   |     | live                 |
Revoke       | H C   |     | live                 | target.not_speaker
AddCohost    | H     |     | live                 | participant.not_in_space target.anonymous target.is_host target.already_cohost participant.removed target.live_banned cohosts.full cohost.blocks_host
AcceptCohost | S L   |     | live                 | participant.not_in_space cohost.not_invited account.live_banned cohosts.full stage.full cohost.blocks_host
DropCohost   | H C   |     | live                 | target.not_cohost target.outranks
Transfer     | H     |     | live                 | target.not_cohost
Unmute       | H C S |     | live                 | participant.not_in_space mic.closed
Mute         | H C S |     | live                 | target.not_on_stage role.forbidden target.outranks
MuteAll      | H C   |     | live                 |
Remove       | H C   | M   | live                 | target.self target.is_host target.is_creator target.outranks
Readmit      | H C   | M   | live                 | target.not_removed
Blocked      | H C S L A G O M | Y | live lobby scheduled ended canceled |
"""  # noqa: E501  # a table

LETTERS = dict(zip("HCSLAGOMY", (*list(Role)[:7], Role.MODERATOR, Role.SYSTEM), strict=True))


@pytest.mark.parametrize("line", CATALOGUE.strip().splitlines(), ids=lambda line: str(line).split()[0])
def test_row_is_as_in_the_catalogue(line: str) -> None:
    name, inside, outside, states, guards = (part.strip() for part in line.split("|"))
    rule = RULES[getattr(c, name)]
    assert rule.roles == {LETTERS[letter] for letter in f"{inside} {outside}".split()}
    assert rule.states == {Status(state) for state in states.split()}
    # what completes a row comes after what the catalogue orders
    named = guards.split()
    assert [guard.code for guard in rule.guards][: len(named)] == named


def test_every_command_has_exactly_one_row() -> None:
    commands = get_args(c.SpaceCommand)
    assert set(RULES) == set(commands)
    assert sum(len(table) for table in AREAS.values()) == len(commands)


def test_every_account_command_has_a_row() -> None:
    assert set(ACCOUNT_RULES) == set(get_args(c.AccountCommand))


def test_every_event_and_cause_can_be_made_by_some_command() -> None:
    made = {outcome for rule in RULES.values() for outcome in rule.outcomes}
    for event in get_args(ev.SpaceEvent):
        hows: list[StrEnum | None] = [*_causes(event)]
        assert {(event, how) for how in hows or [None]} <= made


def _causes(event: type) -> list[StrEnum]:
    how = vars(ev)[event.__annotations__["how"]] if "how" in event.__annotations__ else None
    return [] if how is None else list(how)


def test_every_refusal_has_a_code_that_is_listed_once() -> None:
    spaces = {guard.code for rule in RULES.values() for guard in rule.guards}
    accounts = {guard.code for account_rule in ACCOUNT_RULES.values() for guard in account_rule.guards}
    assert spaces | accounts <= set(CODES)
    source = (ROOT / "spaces_ctl/policy/codes.py").read_text()
    assert all(source.count(f'    "{code}": Code(') == 1 for code in CODES)


def test_guards_are_named_after_one_code_each() -> None:
    codes: dict[str, set[str]] = {}
    for rule in RULES.values():
        for guard in rule.guards:
            codes.setdefault(guard.name, set()).add(guard.code)
            assert guard.meaning, guard.name
    assert all(len(found) == 1 for found in codes.values())


@pytest.mark.parametrize("status", Status)
def test_the_state_that_forbids_gives_its_name(status: Status) -> None:
    space = Space(id=1, status=status, creator=1, admin=1)
    for kind, rule in RULES.items():
        if status in rule.states or kind is c.Blocked:
            continue
        command = _any(kind)
        denied = decide(space, command, Actor(account=1), Facts(), Limits(), 0)
        code = "space.not_found" if status is Status.NEW else f"state.{status}"
        assert denied == Denied(code)


def _any(kind: type[c.SpaceCommand]) -> c.SpaceCommand:
    made = plain(kind)
    assert isinstance(made, kind)
    return made


def test_state_is_looked_at_before_role_and_role_before_guards() -> None:
    nobody = Actor()
    ended = Space(id=1, status=Status.ENDED)
    assert decide(ended, c.Approve(account=2), nobody, Facts(), Limits(), 0) == Denied("state.ended")
    live = Space(id=1, status=Status.LIVE, creator=1)
    assert decide(live, c.Approve(account=2), nobody, Facts(), Limits(), 0) == Denied("role.forbidden")


def test_printed_permissions_are_up_to_date() -> None:
    page = ROOT / "docs" / "permissions.md"
    assert page.read_text() == render(), "run tools/print-permissions"
    subprocess.run([sys.executable, str(ROOT / "tools" / "print-permissions"), "--check"], check=True)
