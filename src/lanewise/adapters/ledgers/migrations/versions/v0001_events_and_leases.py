"""The events, chained and never changed; the leases, whose fences never fall."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite numbers rows by an INTEGER key; text is compared byte by byte on both, which prefix ranges rely on
_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_SQLITE_TRIGGERS = (
    """create trigger events_never_change before update on events
       begin select raise(abort, 'an event is never changed'); end""",
    """create trigger events_never_go before delete on events
       begin select raise(abort, 'an event is never deleted'); end""",
    # also keeps INSERT OR REPLACE out, which fires no delete trigger
    """create trigger events_follow before insert on events
       when new.seq <> (select coalesce(max(seq), 0) + 1 from events)
       begin select raise(abort, 'an event follows the newest one'); end""",
    """create trigger leases_never_go before delete on leases
       begin select raise(abort, 'a lease remembers its fence'); end""",
    """create trigger fences_never_fall before update on leases
       when new.fence < old.fence or new.scope <> old.scope
       begin select raise(abort, 'a fence never falls'); end""",
)


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "events",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("stream", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.UniqueConstraint("stream", "version", name="events_by_stream"),
    )
    op.create_index("events_by_type", "events", ["stream", "type", "version"])
    first = sa.text("version = 1")
    op.create_index("events_first", "events", ["stream", "seq"], sqlite_where=first, postgresql_where=first)
    op.create_table(
        "leases",
        sa.Column("scope", _NAME, primary_key=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
    )
    if op.get_context().dialect.name == "sqlite":
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)


def downgrade() -> None:
    """History is not dropped."""
    raise NotImplementedError("the first migration can't be undone: it would drop the history")
