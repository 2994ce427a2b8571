"""The full-text index of Spaces: a plain table of folded words, and over it what each database searches with.

`EXTRA` is what `metadata` cannot say: FTS5's shadow of the table with the triggers that keep it so, or a GIN index. It
is created with the tables, and written into the migration by `tools/generate-migration`.
"""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["EXTRA", "VECTOR", "space_search"]

space_search = sa.Table(
    "space_search",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("names", sa.Text, nullable=False),
)
"""Folded words (`search.words`), blank between them: of title and description, and of topics' and hosts' names."""

VECTOR = "array_to_tsvector(array_remove(string_to_array(words || ' ' || names, ' '), ''))"
"""PostgreSQL: the words as they are, without its parser, which would cut them otherwise than FTS5 does."""

_FORGET = (
    "INSERT INTO space_search_fts (space_search_fts, rowid, words, names) "
    "VALUES ('delete', old.space, old.words, old.names);"
)
_LEARN = "INSERT INTO space_search_fts (rowid, words, names) VALUES (new.space, new.words, new.names);"

EXTRA: dict[str, tuple[tuple[str, str], ...]] = {
    "sqlite": (
        (
            # The words are folded already; whatever is no blank belongs to a word, also letters newer than SQLite.
            "CREATE VIRTUAL TABLE space_search_fts USING fts5(words, names, content = 'space_search', "
            "content_rowid = 'space', tokenize = \"unicode61 remove_diacritics 0 categories 'L* N* M* Co Cn'\")",
            "DROP TABLE space_search_fts",
        ),
        (
            f"CREATE TRIGGER space_search_inserted AFTER INSERT ON space_search BEGIN {_LEARN} END",
            "DROP TRIGGER space_search_inserted",
        ),
        (
            f"CREATE TRIGGER space_search_deleted AFTER DELETE ON space_search BEGIN {_FORGET} END",
            "DROP TRIGGER space_search_deleted",
        ),
        (
            f"CREATE TRIGGER space_search_updated AFTER UPDATE ON space_search BEGIN {_FORGET} {_LEARN} END",
            "DROP TRIGGER space_search_updated",
        ),
    ),
    "postgresql": (
        (
            f"CREATE INDEX ix_space_search_vector ON space_search USING gin ({VECTOR})",
            "DROP INDEX ix_space_search_vector",
        ),
    ),
}
"""(create, drop) statements in order of creation."""


@sa.event.listens_for(space_search, "after_create")
def _created(_table: sa.Table, connection: sa.Connection, **_: object) -> None:
    for create, _drop in EXTRA[connection.dialect.name]:
        connection.exec_driver_sql(create)


@sa.event.listens_for(space_search, "before_drop")
def _dropped(_table: sa.Table, connection: sa.Connection, **_: object) -> None:
    for _create, drop in reversed(EXTRA[connection.dialect.name]):
        connection.exec_driver_sql(drop)
