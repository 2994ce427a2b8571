import sqlalchemy as sa
from spaces_ctl.store.tables import metadata

tmp_timers = sa.Table(
    "tmp_timers",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("due_ms", sa.BigInteger),
    sa.Column("command", sa.LargeBinary),
    sa.Column("leased_ms", sa.BigInteger, default=0),
)
