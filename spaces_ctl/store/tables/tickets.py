"""Orders of tickets. The tickets themselves are events of the Space's log; an order is how somebody came to one."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["ticket_orders", "ticket_sales"]

ticket_orders = sa.Table(
    "ticket_orders",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False),
    sa.Column("account", sa.BigInteger, nullable=False),
    sa.Column("price_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("payment", sa.String(255), nullable=True, unique=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Index("ix_ticket_orders_space_state_account", "space", "state", "account"),
    sa.Index("ix_ticket_orders_state_due_ms", "state", "due_ms"),
)
"""`state` as in `store.tickets.OrderState`; `due_ms`: when an order on its way (paid, refund due) is looked at next."""

ticket_sales = sa.Table(
    "ticket_sales",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
)
"""One row a ticketed Space, locked while a seat is counted and held."""
