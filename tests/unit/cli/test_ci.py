"""``lane ci``: what reviewers are told, whether it would go, and that asking changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.e2e.forge import forge
from tests.e2e.road import PROJECT
from tests.unit.service.lanes import CANARY, TWO_APPROVED

from lanewise.cli.plan_comment import LONGEST, Report, draw
from lanewise.domain.environment import ApprovalRule, GateSpec
from lanewise.domain.plan import CanaryStep, Move, Plan, TablePlan
from lanewise.domain.project import TableKind
from lanewise.service.forecast import Cause, Forecast, Refusal

from .conftest import Terminal
from .test_markdown import HOSTILE, SITE, Seen


@pytest.fixture
def released(open_terminal: Callable[..., Terminal]) -> Terminal:
    """v1 is live in prod, where a canary is asked for."""
    terminal = open_terminal(CANARY)
    terminal.lane("promote", "--to", "prod")
    return terminal


def test_a_first_release_would_go(terminal: Terminal) -> None:
    said = terminal.lane("ci", "--to", "stage", "--to", "prod")
    assert said.lines[0] == "<!-- lanewise plan-of orders -->"
    assert "**`stage` ✓ would go**: 4 partitions computed, no approval asked for" in said
    assert "**`prod` ✓ would go**: 4 partitions computed, 1 approval from `leads`" in said
    assert "- first: it has to be live in stage first" in said
    assert "there is nothing to go back to before the first release" in said


def test_a_moved_table_says_which_file_moves_it_in_which_steps_and_the_way_back(released: Terminal) -> None:
    live = released.lane("status", "--format", "json").json["lanes"][0]["live"]["build"][7:15]
    released.write("v2")
    said = released.lane("ci", "--to", "prod")
    assert "4 partitions computed in 3 steps" in said
    assert "| `orders_daily` | rebuild | `pipelines/orders.sh` | 4 | 12 |" in said
    assert "| 1 | 25% | 1 | `2013-01-0" in said
    assert "- gates: `quality`, `schema`, `retained`" in said
    assert f"- rollback: flips back to build `{live}`, map 1; all it needs is there" in said


def test_a_build_of_the_store_is_told_by_its_tag(released: Terminal) -> None:
    released.write("v2")
    released.lane("build", "--tag", "v2")
    released.write("v3")
    said = released.lane("ci", "v2", "--to", "prod", "--format", "json").json
    assert said["tags"] == ["v2"]
    assert said["environments"][0]["plan"]["build"] == said["build"]
    assert "`v2`" in said["markdown"]


def test_a_changed_setting_and_the_tables_behind_it_are_the_reason(released: Terminal) -> None:
    project = PROJECT.replace("  orders_daily:\n", "  orders_daily:\n    settings: [threshold]\n")
    (released.root / "lanewise.yaml").write_text(
        project.replace("  totals_daily:\n", "  totals_daily:\n    upstream: [orders_daily]\n")
    )
    released.lane("promote", "--to", "prod")
    released.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    said = released.lane("ci", "--to", "prod")
    assert "| `orders_daily` | rebuild | setting `threshold` |" in said
    assert "| `totals_daily` | rebuild | table `orders_daily` |" in said
    assert "| `settings.threshold` | `1` | `2` |" in said


def test_breaking_columns_dropped_tables_and_lost_partitions_stand_out(released: Terminal) -> None:
    released.environments(CANARY.replace("to: 2013-01-04", "to: 2013-01-06"))
    project = PROJECT[: PROJECT.index("  totals_daily:")].replace("id: INTEGER", "id: VARCHAR")
    (released.root / "lanewise.yaml").write_text(project)
    said = released.lane("ci", "--to", "prod")
    assert "**2 breaking changes**" in said
    assert "column id goes from INTEGER to VARCHAR" in said
    assert "| `totals_daily` | drop | the build has it no more |" in said
    assert "takes away 2 partitions of `orders_daily`, which only this build has" in said


def test_a_quarantined_build_is_refused_and_the_comment_says_why(released: Terminal) -> None:
    build = released.build("v2")
    released.lane("promote", build, "--to", "prod")
    released.lane("rollback", "prod")
    said = released.lane("ci", build, "--to", "prod", code=1)
    assert "**`prod` ✗ would be refused**: build" in said
    assert "is in quarantine" in said
    assert f"lane resume prod --build {build}" in said


def test_what_a_rollback_would_miss_is_a_refusal(released: Terminal) -> None:
    live = released.lane("status", "--format", "json").json["lanes"][0]["live"]["build"]
    released.write("v2")
    (stored,) = [path for path in (released.root / ".lanewise/builds").rglob(f"*{live[7:]}*") if path.is_dir()][:1] or [
        None
    ]
    assert stored is not None
    for file in stored.rglob("*"):
        if file.is_file() and "manifest" not in file.name:
            file.unlink()
    said = released.lane("ci", "--to", "prod", code=1)
    assert "would be refused" in said
    assert f"a rollback would miss build {live[7:15]}" in said


def test_a_wrong_environment_is_told_beside_the_others(released: Terminal) -> None:
    released.write("v2")
    said = released.lane("ci", "--to", "prd", "--to", "prod", code=2)
    assert "**`prd` ✗ can't be told**: no environment named 'prd' (did you mean prod?)" in said
    assert "**`prod` ✓ would go**" in said


def test_a_gate_that_there_is_not_is_told(released: Terminal) -> None:
    released.environments(CANARY.replace("quality", "qualty"))
    said = released.lane("ci", "--to", "prod", code=2)
    assert "no gate named 'qualty' (did you mean quality?)" in said


def test_a_broken_file_is_told_in_the_comment(released: Terminal) -> None:
    released.environments("environments: {prod: {nonsense: [}}")
    said = released.lane("ci", "--to", "prod", "--format", "json", code=2).json
    assert said["environments"][0]["goes"] is False
    assert "environments.yaml" in said["environments"][0]["refusal"]["message"]


def test_what_is_told_is_what_would_be_built(released: Terminal) -> None:
    released.write("v2")
    told = released.lane("ci", "--to", "prod", "--format", "json").json
    assert told["build"] == released.lane("build", "--format", "json").json["digest"]


def test_a_promotion_that_waits_already_is_told_with_what_to_type(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("promote", build, "--to", "stage")
    said = terminal.lane("ci", build, "--to", "prod")
    assert "- asked for already: prod-1 waits for 1 more approval from leads: `lane approve prod-1`" in said


def test_asking_stores_records_pins_requests_and_moves_nothing(released: Terminal) -> None:
    before = released.lane("status", "--format", "json").json
    config = released.lane("config", "show", "prod", "--pinned", "--format", "json").json["digest"]
    history = released.lane("history", "--format", "json").json
    builds = released.lane("builds", "--format", "json").json
    released.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    released.write("v2")
    released.lane("ci", "--to", "prod")
    assert released.lane("config", "show", "prod", "--pinned", "--format", "json").json["digest"] == config
    assert released.lane("status", "--format", "json").json == before
    assert released.lane("history", "--format", "json").json == history
    assert released.lane("builds", "--format", "json").json == builds


def test_a_config_that_has_to_be_approved_is_told_apart(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(TWO_APPROVED)
    terminal.release("v1")
    terminal.environments(TWO_APPROVED.replace("threshold: 3", "threshold: 4"))
    said = terminal.lane("ci", "--to", "prod")
    assert "proposes another config, which is not in this plan: it needs 1 approval from `leads`" in said
    assert "| `settings.threshold` | `3` | `4` |" in said


def test_a_pause_is_no_refusal(released: Terminal) -> None:
    released.lane("pause", "prod", "--reason", "closing <b>books</b>")
    released.write("v2")
    said = released.lane("ci", "--to", "prod")
    assert "- first: prod is paused: closing &lt;b&gt;books&lt;/b&gt;" in said


def test_the_comment_is_written_over_the_one_before(released: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with forge() as site:
        for name, value in site.github().items():
            monkeypatch.setenv(name, value)
        for version in ("v2", "v3"):
            build = released.build(version)
            released.lane("ci", "--to", "prod", "--comment")
        assert len(site.texts) == 1
        assert f"build `{build}`" in site.texts[0]


def test_a_refused_plan_is_commented_all_the_same(released: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with forge() as site:
        for name, value in site.gitlab().items():
            monkeypatch.setenv(name, value)
        said = released.lane("ci", "--to", "prd", "--comment", code=2)
        assert site.texts == [said.out]


NAMES = [name for name in HOSTILE if name.strip()]


def plan(tables: int, words: int = 1) -> Plan:
    """As large as asked, and every name in it hostile."""

    def named(at: int) -> str:
        return f"{NAMES[at % len(NAMES)]}{at}" * words

    moved = tuple(
        TablePlan(named(at), TableKind.PARTITION, Move.REBUILD, "sha256:b", "sha256:a", bytes=10, rows=3,
                  partitions=(named(at),), breaking=(f"{named(at)}: column {named(at)} is dropped",), note=named(at))
        for at in range(tables)
    )  # fmt: skip
    changes = {named(at): (named(at), named(at + 1)) for at in range(tables)}
    steps = (CanaryStep(Decimal("0.1"), tuple(map(named, range(tables)))), CanaryStep(Decimal(1), ("x",)))
    return Plan(
        "orders", "prod", "sha256:bbbbbbbb", "c", 1, "sha256:aaaaaaaa", "c", moved, steps, "canary",
        (GateSpec(named(1)),), ApprovalRule(2, tuple(NAMES)), warnings=tuple(map(named, range(tables))),
        config_changes=changes,
    )  # fmt: skip


def report(made: Plan) -> Report:
    causes = {t.table: Cause(files=(t.table,), settings=(t.table,), upstream=(t.table,)) for t in made.tables}
    found = Forecast("prod|`x`", "b", made, causes=causes, only_new=dict.fromkeys(causes, 1), waits=tuple(NAMES))
    return Report("orders", "sha256:bbbbbbbb", tuple(NAMES), (found,), tuple(NAMES))


def test_hostile_names_anywhere_make_no_markup() -> None:
    made = plan(len(NAMES))
    page = draw(report(made))
    seen = Seen(SITE.render(page))
    ours = {
        "h3",
        "p",
        "strong",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "details",
        "summary",
        "sub",
    }
    assert set(seen.tags) <= ours
    assert seen.comments == [" lanewise plan-of orders "]
    assert seen.tags.count("details") == 5  # tables, breaking, steps, config, findings
    rows = [row for row in page.splitlines() if row.startswith("| ") and "rebuild" in row]
    assert len(rows) == len(made.tables)
    assert not any(line.startswith("/") for line in page.splitlines())


@pytest.mark.parametrize(("tables", "words"), [(10, 1), (500, 1), (5_000, 40), (60, 5_000)])
def test_however_large_a_plan_is_it_fits_into_a_comment(tables: int, words: int) -> None:
    page = draw(report(plan(tables, words)))
    assert len(page.encode("utf-16-le")) // 2 <= LONGEST
    assert page.startswith("<!-- lanewise plan-of orders -->\n")
    assert "✓ would go" in page
    assert page.splitlines().count("<details>") == page.splitlines().count("</details>")
    assert page.splitlines()[-1].startswith("<sub>")


def test_the_worst_refusal_is_the_exit_code() -> None:
    stops = [Forecast("a"), Forecast("b", refusal=Refusal("no")), Forecast("c", refusal=Refusal("away", exit_code=3))]
    assert [Report("o", "", (), tuple(stops[:n])).exit_code for n in (1, 2, 3)] == [0, 1, 3]
    assert json.dumps(draw(Report("o", "", (), tuple(stops))))
