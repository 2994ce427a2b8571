"""Run by alembic: migrates on the connection, and in the transaction, that `spaces_ctl.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
