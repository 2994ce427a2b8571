"""The rules of Spaces, pure: no clock, no input or output, no randomness.

`needs` names the facts that a command's rules ask for, `decide` answers a command with events or one refusal, `evolve`
folds an event into the state, `timers` says what is due later. The rules are rows of a table (`RULES`), one a command;
`docs/permissions.md` is printed from it.
"""

from spaces_ctl.policy.case import Denied
from spaces_ctl.policy.decide import decide, needs
from spaces_ctl.policy.evolve import evolve
from spaces_ctl.policy.facts import AccountFacts, Facts, Needs
from spaces_ctl.policy.limits import PRESETS, Limits
from spaces_ctl.policy.roles import role_of
from spaces_ctl.policy.rules import RULES
from spaces_ctl.policy.seats import admitted_free, deny_exempt, spared_by, watched
from spaces_ctl.policy.state import Space
from spaces_ctl.policy.timers import Timer, TimerKind, timers

__all__ = [
    "PRESETS",
    "RULES",
    "AccountFacts",
    "Denied",
    "Facts",
    "Limits",
    "Needs",
    "Space",
    "Timer",
    "TimerKind",
    "admitted_free",
    "decide",
    "deny_exempt",
    "evolve",
    "needs",
    "role_of",
    "spared_by",
    "timers",
    "watched",
]
