"""Alembic's revisions, in the wheel. Run by `spaces_ctl.store.migrate`, written by `tools/generate-migration`."""
