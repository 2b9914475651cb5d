"""Gather the ground that a plan stands on, and keep plans: in the ledger for resuming, in a file for reviewing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanewise.domain.canonical import plain
from lanewise.domain.environment import Environment
from lanewise.domain.plan import Plan
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Project
from lanewise.domain.promotion import Promotion
from lanewise.domain.publication import Break, PartitionMap
from lanewise.errors import GroundMoved, Refused, WrongInput
from lanewise.promotion.ground import Ground
from lanewise.promotion.planner import ground_moved, make_plan
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.configure import would_be_in_force
from lanewise.service.context import Context
from lanewise.service.promotions import stream_of
from lanewise.service.releases import as_released, quarantined
from lanewise.service.releases import stream_of as environment_stream

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def plan_build(ctx: Context, build: str, environment: str) -> Plan:
    """What promoting a build into an environment would do, under the pinned config."""
    return plan_for(ctx, open_candidate(ctx, build), would_be_in_force(ctx).environment(environment))


def plan_for(ctx: Context, candidate: Candidate, target: Environment) -> Plan:
    """The plan on the ground as it is now."""
    live = as_released(ctx, target.name)
    if live is not None:
        _require_same_place(live, target)
    warehouse = ctx.warehouse(target)
    published = warehouse.live()
    return make_plan(Ground(
        project=candidate.project, environment=target, live=published, build=candidate.digest,
        fingerprints=candidate.fingerprints(target), now=ctx.ledger.now(),
        live_environment=live, inputs=warehouse.pin(candidate.project.inputs),
        breaks=_breaks(warehouse, published, candidate.project),
        quarantined=frozenset(quarantined(ctx.ledger.read(environment_stream(ctx, target.name)))),
    ))  # fmt: skip


_PLACES = {"postgres": ("host", "port", "database", "store")}
"""Fields of a ``dst`` connection that say where it lies, by its type; of other types, all do. Another login, or more
patience, moves nothing."""
_NAMES = ("schema", "table_suffix")
"""Settings that name what readers read, in warehouses where they do; in those of files it is the table alone."""
_NAMELESS = ("duckdb",)


def _breaks(warehouse: Warehouse, live: PartitionMap, project: Project) -> dict[str, Break]:
    """What the views that are published could not take in place, as far as the candidate declares its columns. What
    others write is looked at when it has been computed."""
    changed = [table for table in project.tables.values() if table.columns and table.name in live.tables
               and table.columns != live.tables[table.name].columns]  # fmt: skip
    found = {table.name: warehouse.breaks(table.name, table.columns) for table in changed}
    return {name: broken for name, broken in found.items() if broken is not None}


def _require_same_place(live: Environment, target: Environment) -> None:
    """Moving a warehouse is no promotion: readers of the old place would see nothing of it, and nothing could be
    compared or rolled back."""
    here, there = live.connection("dst"), target.connection("dst")
    hint = "add an environment for the new place, promote into it, and let readers move over"
    lie = _PLACES.get(there.type, sorted({*here.fields, *there.fields}))
    differs = [name for name in lie if here.fields.get(name) != there.fields.get(name)]
    if here.type != there.type or differs:
        told = [f"{name} {here.fields.get(name)} to {there.fields.get(name)}" for name in differs]
        what = ", ".join(told) if here.type == there.type else f"{here.name} to {there.name}"
        raise Refused(f"the config moves the warehouse of {target.name} ({what}), and a promotion can't", hint=hint)
    moved = [key for key in _NAMES if (live.settings.get(key) or "") != (target.settings.get(key) or "")]
    if moved and there.type not in _NAMELESS:
        key = moved[0]
        what = f"the config gives what {target.name} publishes another {key} ({target.settings.get(key)!r}, not "
        raise Refused(f"{what}{live.settings.get(key)!r}), and a promotion can't", hint=hint)


def require_same_ground(saved: Plan, now: Plan) -> None:
    """Raise ``GroundMoved``, naming what has moved, unless a saved plan may be applied exactly as it is."""
    moved = ground_moved(saved, now)
    if moved:
        raise GroundMoved(
            "the saved plan can't be applied: " + "; ".join(moved), hint="make a new one with `lane plan`"
        )


def recorded_plan(ctx: Context, promotion: Promotion) -> Plan:
    """The newest plan that a promotion's stream holds."""
    found = ctx.ledger.last(stream_of(promotion.project, promotion.id), "promotion.planned")
    if found is None:
        command = f"lane promote {promotion.build[7:15]} --to {promotion.environment}"
        raise GroundMoved(f"{promotion.id} has no plan yet", hint=f"`{command}` makes one")
    return decode_plan(found.data["document"])


def decode_plan(document: Mapping[str, Any]) -> Plan:
    """A plan from its JSON data. Raises ``ValueError`` (pydantic's) where it is no plan."""
    return _plans().validate_python(document)


@cache
def _plans() -> TypeAdapter[Plan]:
    """Made once: it takes 12 ms, and a rollout looks at its plan thirty times."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - 100 ms that `lane status` need not pay

    return TypeAdapter(Plan)


def write_plan(plan: Plan, file: Path) -> None:
    """Save a plan with its digest, all or nothing."""
    text = json.dumps({"plan": plain(plan), "digest": plan.digest}, indent=2, ensure_ascii=False)
    aside = file.with_name(file.name + ".part")
    try:
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        raise WrongInput(f"the plan can't be saved as {file}: {error.strerror}") from error


def read_plan(file: Path) -> Plan:
    """A saved plan; refused when its content is not what its digest says."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        plan = decode_plan(document["plan"])
    except OSError as error:
        raise WrongInput(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WrongInput(f"{file} is no saved plan", hint="`lane plan BUILD --to ENV --out FILE` saves one") from error
    if plan.digest != document.get("digest"):
        raise GroundMoved(f"{file} was changed after it was saved", hint="make a new one with `lane plan`")
    return plan
