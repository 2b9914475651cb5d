"""PostgreSQL refuses what SQLite's triggers refuse, and TRUNCATE; SQLite refuses to begin a lease twice.

The triggers are ``always`` on: not even ``session_replication_role`` passes by them. Whoever owns the tables can still
drop them, which is why writers don't (see ``provision``).
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_SQLITE = (
    # keeps INSERT OR REPLACE out, which fires neither the update nor the delete trigger
    """create trigger leases_begin_once before insert on leases
       when exists (select 1 from leases where scope = new.scope)
       begin select raise(abort, 'a fence never falls'); end""",
)

# the search path of this moment, so that a caller's own schema can't stand in for the ledger's tables or for `<>`
_FUNCTION = "create function {name}() returns trigger language plpgsql set search_path from current as $$ {body} $$"
_TRIGGERS = (
    ("events", "events_never_change", "before update or delete or truncate on events for each statement",
     "begin raise exception 'an event is never changed, nor deleted' using errcode = 'restrict_violation'; end"),
    ("events", "events_follow", "before insert on events for each row",
     """declare newest record;
        begin
          select seq, hash into newest from events order by seq desc limit 1;
          if new.seq <> coalesce(newest.seq, 0) + 1 or new.previous <> coalesce(newest.hash, '') then
            raise exception 'an event follows the newest one' using errcode = 'restrict_violation';
          end if;
          return new;
        end"""),
    ("leases", "leases_never_go", "before delete or truncate on leases for each statement",
     "begin raise exception 'a lease remembers its fence' using errcode = 'restrict_violation'; end"),
    ("leases", "fences_never_fall", "before update on leases for each row",
     """begin
          if new.fence < old.fence or new.scope <> old.scope then
            raise exception 'a fence never falls' using errcode = 'restrict_violation';
          end if;
          return new;
        end"""),
)  # fmt: skip


def upgrade() -> None:
    """Add what each database lacks."""
    if op.get_context().dialect.name == "sqlite":
        for statement in _SQLITE:
            op.execute(statement)
        return
    for table, name, event, body in _TRIGGERS:
        op.execute(_FUNCTION.format(name=name, body=body))
        op.execute(f"create trigger {name} {event} execute function {name}()")
        op.execute(f"alter table {table} enable always trigger {name}")


def downgrade() -> None:
    """History stays append-only."""
    raise NotImplementedError("this migration can't be undone: the history would no longer be append-only")
