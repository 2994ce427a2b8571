"""The permission matrix as text, from the rules themselves, so that documentation and code cannot drift apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spaces_ctl.model import Role, Status
from spaces_ctl.policy.accounts import ACCOUNT_RULES
from spaces_ctl.policy.case import Outcomes, Rule
from spaces_ctl.policy.codes import CODES
from spaces_ctl.policy.lifecycle import LIFECYCLE
from spaces_ctl.policy.limits import PRESETS, Limits
from spaces_ctl.policy.replay import REPLAY
from spaces_ctl.policy.retention import RETENTION
from spaces_ctl.policy.rules import AREAS

__all__ = ["render"]

_LETTERS = {
    Role.HOST: "H",
    Role.COHOST: "C",
    Role.SPEAKER: "S",
    Role.LISTENER: "L",
    Role.ANONYMOUS: "A",
    Role.GUEST: "G",
    Role.OUTSIDER: "O",
    Role.MODERATOR: "M",
    Role.SYSTEM: "Y",
}

_INTRODUCTION = """\
# Who may do what

Printed by `tools/print-permissions` from the rules in `spaces_ctl/policy`; a test fails when it is out of date.

Roles are derived from the Space's log and from who is connected, never sent: **H** host (the primary admin now),
**C** co-host, **S** speaker, **L** listener, **A** anonymous listener (logged in, unnamed), **G** logged-out listener,
**O** an account that is not in the Space, **M** platform moderator, **Y** the system (timers, engine, payments).
A moderator acts in the role that anybody in their place would have, and as M where only M may.

A command is looked at in this order: the state (refused with `state.<state>`, or `space.not_found`), the role
(`role.forbidden`), then the guards from left to right. The first that forbids gives the code, and nothing has happened.
What is permitted but changes nothing (a mute of somebody muted) succeeds without an event.
"""


def render() -> str:
    """The whole page, Markdown."""
    parts = [_INTRODUCTION]
    for area, table in AREAS.items():
        parts.append(f"## {area}\n")
        parts.append("\n".join(_matrix((kind.__name__, rule) for kind, rule in table.items())) + "\n")
        parts.append("\n".join(_outcomes((kind.__name__, rule) for kind, rule in table.items())) + "\n")
    parts.append("## Accounts and platform\n")
    parts.append("\n".join(_accounts()) + "\n")
    parts.append("## Machines\n")
    parts.append("\n".join(_machines()) + "\n")
    parts.append("## Numbers and presets\n")
    parts.append("\n".join(_limits()) + "\n")
    parts.append("## Guards\n")
    parts.append("\n".join(_guards()) + "\n")
    parts.append("## Refusals\n")
    parts.append("\n".join(_codes()))
    return "\n".join(parts) + "\n"


def _matrix(rows: Iterable[tuple[str, Rule[object]]]) -> Iterator[str]:
    yield f"| command | {' | '.join(_LETTERS.values())} | states | guards, in order |"
    yield f"|---|{'---|' * len(_LETTERS)}---|---|"
    for name, rule in rows:
        marks = " | ".join("✓" if role in rule.roles else "·" for role in _LETTERS)
        states = " ".join(status for status in Status if status in rule.states)
        guards = ", ".join(dict.fromkeys(guard.code for guard in rule.guards)) or "—"
        yield f"| {name} | {marks} | {states} | {guards} |"


def _outcomes(rows: Iterable[tuple[str, Rule[object]]]) -> Iterator[str]:
    yield "What may come of it:\n"
    for name, rule in rows:
        yield f"- {name}: {_events(rule.outcomes)}"


def _events(outcomes: Outcomes) -> str:
    causes: dict[str, list[str]] = {}
    for event, how in outcomes:
        causes.setdefault(event.__name__, []).extend([] if how is None else [how.value])
    named = (f"{event} ({', '.join(sorted(hows))})" if hows else event for event, hows in sorted(causes.items()))
    return ", ".join(named) or "no event"


def _accounts() -> Iterator[str]:
    yield "| command | who | guards, in order |"
    yield "|---|---|---|"
    for kind, rule in ACCOUNT_RULES.items():
        guards = ", ".join(guard.code for guard in rule.guards) or "—"
        yield f"| {kind.__name__} | {'moderator' if rule.moderator else 'any account'} | {guards} |"


def _machines() -> Iterator[str]:
    for title, table in (("Life", LIFECYCLE), ("Replay", REPLAY), ("Review copy", RETENTION)):
        yield f"{title}:\n"
        for (state, step), after in table.items():
            yield f"- {state} — {step} → {after}"
        yield ""


def _limits() -> Iterator[str]:
    default = Limits()
    yield f"| setting | {' | '.join(PRESETS)} |"
    yield f"|---|{'---|' * len(PRESETS)}"
    for field in Limits.__struct_fields__:
        values = (getattr(preset, field) for preset in PRESETS.values())
        shown = (
            _value(v) if preset == "x13" or v != getattr(default, field) else ""
            for preset, v in zip(PRESETS, values, strict=True)
        )
        yield f"| `{field}` | {' | '.join(shown)} |"


def _value(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return " ".join(sorted(str(v) for v in value) if isinstance(value, frozenset) else map(str, value))
    return str(value).lower()


def _guards() -> Iterator[str]:
    guards = {guard.name: guard for table in AREAS.values() for rule in table.values() for guard in rule.guards}
    yield "What makes each of them forbid:\n"
    yield "| code | guard | forbids because |"
    yield "|---|---|---|"
    for name, guard in sorted(guards.items(), key=lambda entry: (entry[1].code, entry[0])):
        yield f"| `{guard.code}` | {name} | {guard.meaning} |"


def _codes() -> Iterator[str]:
    given = {guard.code for table in AREAS.values() for rule in table.values() for guard in rule.guards}
    given |= {guard.code for rule in ACCOUNT_RULES.values() for guard in rule.guards}
    given |= {"role.forbidden", "space.not_found"} | {code for code in CODES if code.startswith("state.")}
    yield "| code | HTTP | meaning |"
    yield "|---|---|---|"
    for code, info in CODES.items():
        if code in given:
            yield f"| `{code}` | {info.http} | {info.title} |"
