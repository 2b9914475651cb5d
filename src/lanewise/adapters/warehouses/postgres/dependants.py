"""What is built upon a view, and would stand in the way of dropping it."""

from __future__ import annotations

from typing import Any

import psycopg

_DEPENDANTS = """
select distinct case when d.classid = 'pg_rewrite'::regclass
    then (select r.ev_class::regclass::text from pg_rewrite r where r.oid = d.objid)
    else pg_describe_object(d.classid, d.objid, 0) end
from pg_class c join pg_depend d on (d.refclassid, d.refobjid) in (
    ('pg_class'::regclass, c.oid), ('pg_type'::regclass, c.reltype), ('pg_type'::regclass,
    (select typarray from pg_type where oid = c.reltype)))
where c.oid = %s and (d.deptype = 'n' or (d.deptype = 'a' and d.classid = 'pg_trigger'::regclass))
    and not (d.classid = 'pg_rewrite'::regclass and (select r.ev_class from pg_rewrite r where r.oid = d.objid) = c.oid)
order by 1"""


def dependants(connection: psycopg.Connection[Any], view: int) -> tuple[str, ...]:
    """The relations, functions and triggers that use the view with this OID, by name."""
    return tuple(row[0] for row in connection.execute(_DEPENDANTS, [view]))
