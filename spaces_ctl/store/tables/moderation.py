"""Reports in cases, held evidence, and what every moderator did."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["moderation_actions", "report_cases", "reports"]

report_cases = sa.Table(
    "report_cases",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("subject", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("reporters", sa.Integer, nullable=False),
    sa.Column("opened_ms", sa.BigInteger, nullable=False),
    sa.Column("latest_ms", sa.BigInteger, nullable=False),
    sa.Column("evidence_from_ms", sa.BigInteger, nullable=False),
    sa.Column("evidence_to_ms", sa.BigInteger, nullable=False),
    sa.Column("moderator", sa.BigInteger, nullable=True),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("resolved_ms", sa.BigInteger, nullable=True),
    sa.Index("ix_report_cases_state_id", "state", "id"),
)
"""`kind`: space, account, clip. While a case is open or claimed, the audio between `evidence_from_ms` and
`evidence_to_ms` (time of day) is kept whatever retention says."""

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case", sa.BigInteger, nullable=False, index=True),
    sa.Column("by", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Index("ix_reports_by_at_ms", "by", "at_ms"),
)

moderation_actions = sa.Table(
    "moderation_actions",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("of", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("moderator", sa.BigInteger, nullable=True),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("case", sa.BigInteger, nullable=True),
    sa.Column("space", sa.BigInteger, nullable=True),
    sa.Column("account", sa.BigInteger, nullable=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(64), nullable=False),
)
"""Only ever appended to: a row when an action is asked for, one with the same `of` when it is done or refused. No
`moderator`: an operator, or the command line."""
