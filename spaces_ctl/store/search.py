"""Full-text search of Spaces by keyword: FTS5 on SQLite, a GIN index on PostgreSQL, the same answers on both.

Text is cut into words and folded here, for both databases alike: without case, compatibility forms and accents; a
script that puts no blanks between words is cut into pairs of characters. All words of a query must be in the title,
description, topics or hosts' names; a word with `*` behind it (with `prefix`, the last one) may go on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from spaces_ctl.model import SpaceId, Status
from spaces_ctl.store.insert import insert_into
from spaces_ctl.store.tables.search import VECTOR, space_search
from spaces_ctl.store.tables.spaces import spaces

__all__ = ["NAMES_READER", "put_names", "put_text", "search", "words"]

NAMES_READER = "names"
"""The reader of the log that sets names (`put_names`)."""

_LONGEST_WORD = 64
_MOST_WORDS = 5_000
_MOST_TERMS = 32

_ACCENTS = re.compile("[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
"""Marks of Latin, Greek, Cyrillic, Hebrew and Arabic that people leave out; in other scripts they make other words."""

_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
"""Thai, Lao, Burmese, Khmer, Kana, Han."""


class _Term(NamedTuple):
    word: str
    prefix: bool


def put_text(c: sa.Connection, space: SpaceId, title: str, description: str) -> None:
    """Sets the words of a Space's own text."""
    _put(c, space, words=_joined([title, description]))


def put_names(c: sa.Connection, space: SpaceId, names: Iterable[str]) -> None:
    """Sets the names under which a Space is found besides: of its topics, names and handles of its hosts."""
    _put(c, space, names=_joined(names))


def search(
    c: sa.Connection,
    query: str,
    *,
    states: Sequence[Status] = (Status.LIVE, Status.SCHEDULED),
    prefix: bool = False,
    before: SpaceId | None = None,
    limit: int = 100,
) -> list[SpaceId]:
    """Ids of Spaces in `states` that match, the newest first, below `before`. A query without words matches nothing."""
    terms = _terms(query, prefix=prefix)
    if not terms:
        return []
    found = (
        sa.select(spaces.c.id)
        .where(spaces.c.status.in_([state.value for state in states]), spaces.c.id.in_(_matches(c, terms)))
        .order_by(spaces.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        found = found.where(spaces.c.id < before)
    return list(c.scalars(found))


def words(text: str) -> list[str]:
    """The words of a text under which it is found."""
    found: list[str] = []
    for run, unspaced in _runs(text):
        if unspaced:
            found += [run[i : i + 2] for i in range(len(run))]  # the last character alone, too
        else:
            found.append(run[:_LONGEST_WORD])
    return found[:_MOST_WORDS]


def _terms(query: str, *, prefix: bool) -> list[_Term]:
    terms: list[_Term] = []
    chunks = query.split()
    for number, chunk in enumerate(chunks, 1):
        part: list[_Term] = []
        for run, unspaced in _runs(chunk):
            if not unspaced:
                part.append(_Term(run[:_LONGEST_WORD], False))
            elif len(run) == 1:
                part.append(_Term(run, True))
            else:
                part += [_Term(run[i : i + 2], False) for i in range(len(run) - 1)]
        if part and (chunk.endswith("*") or (prefix and number == len(chunks))):
            part[-1] = _Term(part[-1].word, True)
        terms += part
    return terms[:_MOST_TERMS]


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Folded runs of letters, digits and marks; whether of a script without blanks."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    for word in "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in folded).split():
        for run in _UNSPACED.split(word):
            if run:
                yield run, _UNSPACED.match(run) is not None


def _joined(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(word for text in texts for word in words(text)))


def _put(c: sa.Connection, space: SpaceId, **column: str) -> None:
    c.execute(
        insert_into(c, space_search)
        .values(**{"space": space, "words": "", "names": "", **column})
        .on_conflict_do_update(index_elements=[space_search.c.space], set_=column)
    )


def _matches(c: sa.Connection, terms: list[_Term]) -> sa.Select[int]:
    """Spaces that match all terms. Terms hold letters, digits and marks only, so quoting them is safe."""
    if c.dialect.name == "postgresql":
        query = " & ".join(f"'{term.word}'{':*' if term.prefix else ''}" for term in terms)
        return sa.select(space_search.c.space).where(
            sa.text(f"{VECTOR} @@ CAST(:search_query AS tsquery)").bindparams(search_query=query)
        )
    query = " AND ".join(f'"{term.word}"{" *" if term.prefix else ""}' for term in terms)
    return (
        sa.select(sa.literal_column("rowid", sa.BigInteger))
        .select_from(sa.table("space_search_fts"))
        .where(sa.text("space_search_fts MATCH :search_query").bindparams(search_query=query))
    )
