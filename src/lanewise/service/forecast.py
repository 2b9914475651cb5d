"""What promoting a build would come to, told to whoever reviews it: the plan, why each table moves, what has to happen
first, what a rollback would find. Nothing is stored, recorded, requested or computed, and no code of the build is run:
it can be told by somebody who may only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lanewise.builds.difference import BuildDiff, diff_builds
from lanewise.domain.environment import ApprovalRule, Config, Environment
from lanewise.domain.evidence import Moment
from lanewise.domain.gate import Retained
from lanewise.domain.plan import Move, Plan
from lanewise.domain.project import Table
from lanewise.errors import LaneError
from lanewise.promotion.changes import config_changes
from lanewise.promotion.explain import Explanation
from lanewise.promotion.freeze import open_window
from lanewise.publication.fingerprints import NEVER_CODE
from lanewise.publication.globs import pattern
from lanewise.service.build import would_build
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.configure import approvals_needed, pinned, would_be_in_force
from lanewise.service.context import Context
from lanewise.service.gating import open_gate
from lanewise.service.ground import plan_for
from lanewise.service.look import Eyes
from lanewise.service.promotions import open_promotions
from lanewise.service.releases import as_released, paused, releases, stream_of
from lanewise.service.why import why


@dataclass(frozen=True)
class Refusal:
    """Why it would not go: what a command would say, and exit with."""

    message: str
    hint: str = ""
    exit_code: int = 1


@dataclass(frozen=True)
class Cause:
    """What a table is computed from that differs from the build that is live. All empty where nobody can tell."""

    files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # the run command, the lock file, its columns …

    @property
    def known(self) -> bool:
        """Whether any cause was found."""
        return bool(self.files or self.settings or self.upstream or self.also)


@dataclass(frozen=True)
class Proposal:
    """What the working tree's environments file would change in an environment whose pinned one asks for approval
    first: the keys, and who has to approve."""

    changes: Mapping[str, tuple[str, str]]
    rule: ApprovalRule


@dataclass(frozen=True)
class Forecast:
    """One environment's part. ``refusal`` is None where the build would go, at once or after what ``waits`` says.
    ``only_new``: table -> how many partitions a rollback would take away, since what is live has none."""

    environment: str
    build: str = ""
    plan: Plan | None = None
    refusal: Refusal | None = None
    causes: Mapping[str, Cause] = field(default_factory=dict)
    needs: tuple[Retained, ...] = ()
    only_new: Mapping[str, int] = field(default_factory=dict)
    waits: tuple[str, ...] = ()
    proposal: Proposal | None = None
    standing: Explanation | None = None  # what the promotion waits for that has been asked for already

    @property
    def goes(self) -> bool:
        """Whether nothing refuses it."""
        return self.refusal is None


def stored(ctx: Context, name: str) -> Candidate:
    """A build of the store, by digest, prefix or tag."""
    return open_candidate(ctx, name)


def unstored(ctx: Context) -> Candidate:
    """The working tree as it would be built."""
    return Candidate(would_build(ctx), ctx.project, ctx.root)


def forecast(ctx: Context, candidate: Candidate, environment: str) -> Forecast:
    """What promoting it would come to. What refuses it, or breaks, is part of it."""
    try:
        config = would_be_in_force(ctx)
        return _look(ctx, candidate, config, config.environment(environment))
    except LaneError as error:
        return Forecast(environment, candidate.digest, refusal=Refusal(error.message, error.hint, error.exit_code))


def _look(ctx: Context, candidate: Candidate, config: Config, target: Environment) -> Forecast:
    waits = _waits(ctx, candidate, config, target)
    found = Forecast(target.name, candidate.digest, waits=waits, proposal=_proposal(ctx, target),
                     standing=_standing(ctx, candidate, target))  # fmt: skip
    try:
        plan = plan_for(ctx, candidate, target)
        for spec in plan.gates:
            open_gate(spec)  # a gate that nobody has would be found out at the promotion
    except LaneError as error:
        return replace(found, refusal=Refusal(error.message, error.hint, error.exit_code))
    warehouse = ctx.warehouse(target)
    eyes = Eyes(ctx, candidate, plan, target, config.before(target.name), warehouse, Moment.BEFORE)
    needs = tuple(eyes.retained())
    live = {name: frozenset(table.slices) for name, table in warehouse.live().tables.items()}
    fresh = {t.table: len(set(t.partitions) - live.get(t.table, frozenset())) for t in plan.moved}
    return replace(
        found, plan=plan, causes=_causes(ctx, candidate, plan, target), needs=needs,
        only_new={} if plan.first_release else {name: count for name, count in fresh.items() if count},
        refusal=_would_miss(plan, needs),
    )  # fmt: skip


def _would_miss(plan: Plan, needs: tuple[Retained, ...]) -> Refusal | None:
    """The gate that looks for what a rollback needs would refuse it."""
    missing = [one.what for one in needs if not one.present]
    if not missing or "retained" not in {gate.name for gate in plan.gates}:
        return None
    return Refusal(f"a rollback would miss {', '.join(missing)}", "bring it back, or break glass knowing that")


def _waits(ctx: Context, candidate: Candidate, config: Config, target: Environment) -> tuple[str, ...]:
    """What has to happen first, beside gates and approvals."""
    found, before = [], config.before(target.name)
    if before is not None and candidate.digest not in {r.build for r in releases(ctx, before.name)}:
        found.append(f"it has to be live in {before.name} first")
    reason = paused(ctx.ledger.read(stream_of(ctx, target.name)))
    if reason is not None:
        found.append(f"{target.name} is paused: {reason}")
    freeze = open_window(target.rules.freeze, ctx.ledger.now())
    if freeze is not None:
        found.append(f"a freeze is open until {freeze.until:%Y-%m-%d %H:%M} UTC: {freeze.reason}")
    return tuple(found)


def _standing(ctx: Context, candidate: Candidate, target: Environment) -> Explanation | None:
    of_it = [p for p in open_promotions(ctx, target.name) if p.build == candidate.digest]
    return why(ctx, of_it[-1].id) if of_it else None


def _proposal(ctx: Context, target: Environment) -> Proposal | None:
    """Of a working file that is not in force, because the pinned one wants it approved."""
    before = pinned(ctx)
    if before is None or target.name not in before.environments:
        return None
    rule = approvals_needed(before, ctx.config).get(target.name)
    if rule is None:
        return None
    after = ctx.config.environments.get(target.name)
    changes = {} if after is None else config_changes(before.environments[target.name], after)
    return Proposal(changes or {"environments.yaml": ("as it is pinned", "what concerns every environment")}, rule)


def _causes(ctx: Context, candidate: Candidate, plan: Plan, target: Environment) -> dict[str, Cause]:
    """Table -> why its content would be another, for those that are computed again."""
    moved = {t.table for t in plan.moved if t.move is not Move.NEW and t.version != t.live_version}
    if not moved:
        return {}
    try:
        live, before = open_candidate(ctx, plan.base_build), as_released(ctx, target.name)
    except LaneError:
        return dict.fromkeys(moved, Cause())
    difference = diff_builds(live.build.manifest, candidate.build.manifest)
    also = [*(["the run command"] if live.project.run != candidate.project.run else []), *_surroundings(difference)]
    return {
        name: Cause(
            files=_files(table, difference),
            settings=tuple(s for s in table.settings if before and before.settings.get(s) != target.settings.get(s)),
            upstream=tuple(other for other in table.upstream if other in moved),
            also=(*also, *_shape(live.project.tables.get(name), table)),
        )
        for name, table in candidate.project.tables.items() if name in moved
    }  # fmt: skip


def _surroundings(difference: BuildDiff) -> list[str]:
    pairs = {"the lock file": difference.lock, "the interpreter": difference.interpreter}
    parts = {"an image": difference.images, "a wheel": difference.wheels}
    return [name for name, pair in (pairs | parts).items() if pair]


def _files(table: Table, difference: BuildDiff) -> tuple[str, ...]:
    """Those that the table is computed by, as its fingerprint takes them."""
    paths = sorted({*difference.added, *difference.changed, *difference.removed})
    if table.depends:
        return tuple(path for path in paths if any(pattern(glob).fullmatch(path) for glob in table.depends))
    return tuple(path for path in paths if not any(pattern(glob).fullmatch(path) for glob in NEVER_CODE))


def _shape(old: Table | None, new: Table) -> list[str]:
    def shape(table: Table) -> tuple[object, ...]:
        return (table.kind, table.partition, table.key, table.columns, table.offset)

    return ["its own columns, key or cut"] if old is not None and shape(old) != shape(new) else []
