"""Each law of the design, and somebody who tries to break it, on the real command line.

The clock is the ledger's, set by the test; who types is declared, as the config here allows.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .road import DAYS, ENVIRONMENTS, PROJECT, SCRIPT, Typed, lane, seen, write_project

WEDNESDAY = datetime(2026, 11, 4, 12, tzinfo=UTC)
FRIDAY, MONDAY = WEDNESDAY + timedelta(days=2), WEDNESDAY + timedelta(days=5)

PEOPLE = """\
identity: declared
people:
  ana: {groups: [leads]}
  ben: {groups: [leads], emails: [ben@example.org]}
  cleo: {groups: [devs]}
  dora: {groups: [leads]}
environments:
  prod: {retries: 0, data: {from: 2013-01-01, to: 2013-01-08}}
"""
APPROVED = (
    PEOPLE
    + """\
promotion:
  prod:
    gates: [tests, quality, retained]
    evidence_expires: 1h
    approvals: {count: 1, from: [leads]}
    rollout: all-at-once
"""
)
FROZEN_ON_FRIDAYS = (
    ENVIRONMENTS.replace("people: {", "people: {ana: {groups: [leads]}, ")
    + """\
    freeze: [{rrule: "FREQ=WEEKLY;BYDAY=FR,SA,SU", timezone: UTC, reason: nobody is in}]
"""
)
PASSING = "printf '<testsuite><testcase name=\"a\"/></testsuite>' > $LANEWISE_REPORTS/a.xml"


def write(root: Path, name: str, script: str = SCRIPT) -> None:
    (root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))


def made(root: Path, name: str, script: str = SCRIPT) -> str:
    """Build it; its digest."""
    write(root, name, script)
    done = lane(root, "build", "--format", "json")
    assert done.code == 0, done.err
    digest: str = done.data["digest"]
    return digest


def promoted(root: Path, name: str, environment: str = "prod") -> str:
    """Build it and bring it live; its digest."""
    digest = made(root, name)
    done = lane(root, "promote", digest, "--to", environment, clock=lambda: WEDNESDAY)
    assert done.code == 0, done.err
    return digest


def refused(done: Typed, *words: str) -> None:
    """One clear refusal that says all of ``words``."""
    assert done.code == 1, done
    for word in words:
        assert word in done.err + done.out, f"{word!r} is not in: {done.out}{done.err}"


def state(root: Path, promotion: str) -> str:
    """Where a promotion stands, as its history tells."""
    stream = "promotion/orders/" + "/".join(promotion.rsplit("-", 1))
    events = lane(root, "history", "--format", "json", "--stream", stream).data
    return next(e["data"]["state"] for e in reversed(events) if e["type"] == "promotion.moved")


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """v1 is live in prod, nothing is asked for but data quality."""
    root = write_project(tmp_path / "orders")
    promoted(root, "v1")
    return root


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    """Tests and an approval stand before prod; ana has asked for v1, and nobody has approved it."""
    root = write_project(tmp_path / "orders", APPROVED, PROJECT + "tests: sh pipelines/tests.sh\n")
    (root / "pipelines" / "tests.sh").write_text(PASSING + "\n")
    made(root, "v1")
    refused(lane(root, "promote", "--to", "prod", clock=lambda: WEDNESDAY), "waits for 1 more approval from leads")
    return root


# 1. One build everywhere


@pytest.mark.parametrize("where", ["unpacked", "builds"])
def test_a_build_changed_by_one_byte_neither_runs_nor_is_promoted(live: Path, where: str) -> None:
    before, digest = seen(live), lane(live, "builds", "--format", "json").data[0]["digest"]
    folder = live / ".lanewise"
    if where == "builds":
        shutil.rmtree(folder / "unpacked")
    file = _file_holding(folder / where, b"totals_daily.csv")
    data = bytearray(file.read_bytes())
    data[data.index(b"totals_daily.csv")] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    refused(lane(live, "run", "prod", "--partition", DAYS[0]), "orders.sh")
    refused(lane(live, "promote", digest, "--to", "prod"), "orders.sh")
    assert seen(live) == before


def _file_holding(folder: Path, content: bytes) -> Path:
    return next(p for p in folder.rglob("*") if p.is_file() and content in p.read_bytes())


def test_code_of_another_build_is_not_run_with_this_ones_settings(live: Path) -> None:
    compiled = next((live / ".lanewise" / "compiled").glob("*/prod.json"))
    other = live.parent / "elsewhere"
    other.mkdir()
    (other / ".lanewise-build.json").write_text(
        json.dumps({"digest": "sha256:" + "0" * 64, "variable": "LANEWISE_ENV"})
    )
    done = python(other, "import lanewise; lanewise.current()", LANEWISE_COMPILED=str(compiled))
    assert done.returncode == 1
    assert "and this code is build 00000000" in done.stderr


def python(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Pipeline code in a process of its own, which knows these variables alone."""
    file = folder / "code.py"
    file.write_text(code)
    return subprocess.run([sys.executable, str(file)], env={"PATH": os.environ["PATH"], **variables}, cwd=folder,
                          capture_output=True, text=True, check=False)  # fmt: skip


# 2. Only declared config differs


def test_every_key_that_differs_is_listed_and_no_other(tmp_path: Path) -> None:
    environments = ENVIRONMENTS.replace(
        "environments:\n",
        "defaults: {retries: 0, bucket: 'raw-{env}', table_suffix: ''}\nenvironments:\n  stage: {retries: 1}\n",
    )
    root = write_project(tmp_path / "orders", environments)
    told = lane(root, "config", "diff", "stage", "prod", "--format", "json")
    keys = {row["key"] for row in told.data["differences"]}
    assert {"settings.retries", "settings.bucket"} <= keys
    assert "settings.table_suffix" not in keys


# 4. An environment can't touch another


def test_an_unset_environment_is_dev_on_a_laptop_and_an_error_in_an_orchestrator(tmp_path: Path) -> None:
    environments = ENVIRONMENTS.replace(
        "environments:\n", "environments:\n  dev: {data: {from: 2013-01-01, to: 2013-01-08}}\n"
    )
    root = write_project(tmp_path / "orders", environments)
    for name in ("dev", "prod"):
        assert lane(root, "config", "show", name).code == 0
    ask = "import lanewise; print(lanewise.current().environment)"
    assert python(root, ask).stdout.strip() == "dev"
    for mark in ({"AIRFLOW_HOME": "/srv"}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"DAGSTER_HOME": "/srv"}):
        done = python(root, ask, **mark)
        assert done.returncode == 1
        assert "no environment is named" in done.stderr
        assert "prod" not in done.stdout


# 5. Readers see old or new; unaudited rows are never visible


def test_a_run_that_writes_into_the_versions_by_itself_publishes_nothing(live: Path) -> None:
    """A run knows the way to its own room. Whoever goes on from there by guessing changes no map."""
    before = seen(live)
    script = """
    set -e
    version=$(dirname "$(find "$LANEWISE_OUTPUTS/../../../versions/orders_daily" -name '*.parquet' | head -1)")
    for file in "$version"/../*/*.parquet "$version"/*.parquet; do last=$file; done
    cp "$last" "$(dirname "$last")/RUN-planted.parquet"
    mkdir -p "$version/../day=2013-01-10" && cp "$last" "$version/../day=2013-01-10/RUN-planted.parquet"
    sh pipelines/orders.sh
    echo 2013-01-01,1,unaudited >> "$LANEWISE_OUTPUTS/orders_daily.csv"
    """
    refused(lane(live, "run", "prod", "--partition", DAYS[0], "--", "sh", "-c", script), "unique")
    planted = list((live / ".lanewise").rglob("RUN-planted.parquet"))
    assert len(planted) == 2, "the run could write there"
    assert seen(live) == before
    assert lane(live, "run", "prod", "--partition", "2013-01-09").code == 0
    assert set(seen(live)) == {*DAYS, "2013-01-09"}, "nor does the next publication take up what was planted"


def test_a_run_is_told_no_way_to_publish(live: Path) -> None:
    """Neither its variables nor its compiled file name the pointer, the fence or the ledger."""
    script = 'env > "$0"; cat "$LANEWISE_COMPILED" >> "$0"; sh pipelines/orders.sh'
    told = live.parent / "told"
    assert lane(live, "run", "prod", "--partition", DAYS[0], "--", "sh", "-c", script, str(told)).code == 0
    text = told.read_text()
    assert "LANEWISE_RUN_ID" in text
    for secret in ("ledger", "fence", "prod.duckdb", "checkpoints", "signing"):
        assert secret not in text, secret


@pytest.mark.parametrize(
    "rows", ["2013-01-01,1,bad\\n2013-01-01,1,bad", "2013-01-01,,bad", ",1,bad", "2013-01-02,1,bad"]
)
def test_rows_that_fail_their_audit_are_never_visible(live: Path, rows: str) -> None:
    before = seen(live)
    script = f"""sh pipelines/orders.sh; printf 'day,id,build\\n{rows}\\n' > $LANEWISE_OUTPUTS/orders_daily.csv"""
    done = lane(live, "run", "prod", "--partition", DAYS[0], "--", "sh", "-c", script)
    assert done.code == 1, done
    assert seen(live) == before


# 6. Doubt never passes


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ("<testsuite/>", "holds no tests"),
        ('<testsuite><testcase name="a"><skipped/></testcase></testsuite>', "skipped"),
        ("", "no report was found"),
        ("<testsuite><testcase", "report"),
    ],
)
def test_tests_that_show_nothing_stop_a_promotion(guarded: Path, report: str, why: str) -> None:
    (guarded / "pipelines" / "tests.sh").write_text(
        f"printf '%s' '{report}' > $LANEWISE_REPORTS/a.xml\n" if report else "true\n"
    )
    write(guarded, "v2")
    done = lane(guarded, "promote", "--to", "prod", clock=lambda: WEDNESDAY)
    refused(done, "waits for gate tests", why)
    assert state(guarded, "prod-2") == "GATING"
    refused(lane(guarded, "approve", "prod-2", actor="ben"), "awaits no approval")
    assert seen(guarded) == {}


def test_no_rows_hold_a_promotion_until_a_person_decides(tmp_path: Path) -> None:
    root = write_project(tmp_path / "orders")
    digest = made(root, "v1", SCRIPT.replace("for id in 1 2 3", "for id in"))
    refused(lane(root, "promote", digest, "--to", "prod"), "looked at no rows")
    assert state(root, "prod-1") == "HELD"
    refused(lane(root, "promote", digest, "--to", "prod"), "is held")
    refused(lane(root, "decide", "prod-1", "accept"), "reason")
    refused(lane(root, "decide", "prod-1", "retry"), "looked at no rows")
    assert seen(root) == {}
    assert lane(root, "decide", "prod-1", "abort").code == 0
    assert state(root, "prod-1") == "REVERTED"
    assert seen(root) == {}


def test_evidence_that_has_expired_is_gathered_again_and_voids_the_approval(guarded: Path) -> None:
    assert lane(guarded, "approve", "prod-1", actor="ben", clock=lambda: WEDNESDAY).code == 0
    late = WEDNESDAY + timedelta(hours=2)
    done = lane(guarded, "promote", "--to", "prod", clock=lambda: late)
    refused(done, "waits for 1 more approval", "no longer counts")
    assert seen(guarded) == {}
    assert lane(guarded, "approve", "prod-1", actor="dora", clock=lambda: late).code == 0
    assert lane(guarded, "promote", "--to", "prod", clock=lambda: late).code == 0
    assert set(seen(guarded).values()) == {"v1"}


# 8. An approval binds to what was seen


@pytest.mark.parametrize(("who", "why"), [("ana", "their own request"), ("cleo", "not in leads"), ("eve", "leads")])
def test_the_requester_and_people_of_other_groups_may_not_approve(guarded: Path, who: str, why: str) -> None:
    refused(lane(guarded, "approve", "prod-1", actor=who), why)
    refused(lane(guarded, "promote", "--to", "prod", clock=lambda: WEDNESDAY), "waits for 1 more approval")
    assert seen(guarded) == {}


@pytest.mark.parametrize("author", ["Ben <BEN@example.org>", "ben <somebody@example.org>"])
def test_the_author_of_the_commit_may_not_approve(tmp_path: Path, author: str) -> None:
    root = write_project(tmp_path / "orders", APPROVED.replace("tests, ", ""))
    write(root, "v1")
    name, _, mail = author.rstrip(">").partition(" <")
    git = ["git", "-c", f"user.name={name}", "-c", f"user.email={mail}", "-C", str(root)]
    for arguments in (["init", "-q"], ["add", "pipelines", "lanewise.yaml"], ["commit", "-q", "-m", "orders"]):
        subprocess.run([*git, *arguments], check=True)
    refused(lane(root, "promote", "--to", "prod"), "approval")
    refused(lane(root, "approve", "prod-1", actor="ben"), "commit")
    assert lane(root, "approve", "prod-1", actor="dora").code == 0
    assert lane(root, "promote", "--to", "prod").code == 0


def test_a_declared_name_proves_nothing_where_the_os_user_counts(tmp_path: Path) -> None:
    root = write_project(tmp_path / "orders", APPROVED.replace("identity: declared\n", "").replace("tests, ", ""))
    write(root, "v1")
    refused(lane(root, "promote", "--to", "prod"), "approval")
    refused(lane(root, "approve", "prod-1", actor="ben"), "own request")


def test_other_evidence_voids_an_approval(guarded: Path) -> None:
    """The gate looks again, and sees other tests: who approved saw something else."""
    assert lane(guarded, "approve", "prod-1", actor="ben", clock=lambda: WEDNESDAY).code == 0
    (guarded / "pipelines" / "tests.sh").write_text(PASSING.replace('name="a"', 'name="b"') + "\n")
    done = lane(guarded, "promote", "--to", "prod", clock=lambda: WEDNESDAY)
    refused(done, "waits for 1 more approval")
    assert state(guarded, "prod-1") == "SUPERSEDED", "other tests are another build, and that is another promotion"
    assert seen(guarded) == {}


def test_other_config_voids_an_approval_and_needs_one_itself(guarded: Path) -> None:
    assert lane(guarded, "approve", "prod-1", actor="ben", clock=lambda: WEDNESDAY).code == 0
    file = guarded / "environments.yaml"
    file.write_text(file.read_text().replace("retries: 0", "retries: 2"))
    proposed = lane(guarded, "config", "apply", "--yes", "--format", "json")
    digest = proposed.data["digest"]
    refused(lane(guarded, "config", "approve", digest, actor="ana"), "own request")
    refused(lane(guarded, "config", "approve", digest, actor="cleo"), "not in leads")
    assert lane(guarded, "config", "approve", digest, actor="ben").code == 0
    done = lane(guarded, "promote", "--to", "prod", clock=lambda: WEDNESDAY)
    refused(done, "waits for 1 more approval")
    assert state(guarded, "prod-1") == "SUPERSEDED"
    assert seen(guarded) == {}


def test_editing_the_working_copy_loosens_nothing(guarded: Path) -> None:
    file = guarded / "environments.yaml"
    file.write_text(file.read_text().replace("    approvals: {count: 1, from: [leads]}\n", ""))
    refused(lane(guarded, "promote", "--to", "prod", clock=lambda: WEDNESDAY), "waits for 1 more approval")
    assert seen(guarded) == {}


def test_a_saved_plan_whose_ground_has_moved_names_what_moved(live: Path) -> None:
    v2, v3 = made(live, "v2"), made(live, "v3")
    plan = str(live.parent / "plan.json")
    assert lane(live, "plan", v2, "--to", "prod", "--out", plan).code == 0
    assert lane(live, "promote", v3, "--to", "prod").code == 0
    refused(lane(live, "promote", "--plan", plan), "the saved plan can't be applied", v3[7:15])
    assert set(seen(live).values()) == {"v3"}
    Path(plan).write_text(Path(plan).read_text().replace(v2, v3))
    refused(lane(live, "promote", "--plan", plan), "was changed after it was saved")


# 9. Rollback waits for no freeze


def exposed(root: Path, steps: int) -> Callable[[], datetime]:
    """A clock by which Friday comes when so many steps of the canary are exposed."""
    link = root / ".lanewise" / "warehouse" / "prod.duckdb"
    began = link.readlink()

    def clock() -> datetime:
        published = [p for p in (link.parent / "prod" / "catalogs").glob("*.duckdb") if p.name > began.name]
        exposed = [p for p in published if not p.name.startswith("prepared")]
        return FRIDAY if len(exposed) >= steps else WEDNESDAY

    return clock


@pytest.fixture
def half_frozen(tmp_path: Path) -> Path:
    """v1 is live; v2 has shown the first step of its canary when a freeze opens."""
    root = write_project(tmp_path / "orders", FROZEN_ON_FRIDAYS)
    promoted(root, "v1")
    done = lane(root, "promote", made(root, "v2"), "--to", "prod", clock=exposed(root, 1))
    refused(done, "waits for a freeze to end at 2026-11-09", "nobody is in")
    assert sorted(seen(root).values()).count("v2") == 2
    return root


def test_a_freeze_that_opens_between_two_steps_stops_there_and_thaws(half_frozen: Path) -> None:
    assert state(half_frozen, "prod-2") == "FROZEN"
    told = lane(half_frozen, "why", "prod-2", clock=lambda: FRIDAY)
    assert "1 of its steps stay as readers see them" in told.out
    refused(lane(half_frozen, "promote", "--to", "prod", clock=lambda: FRIDAY), "2026-11-09")
    assert sorted(seen(half_frozen).values()).count("v2") == 2
    assert lane(half_frozen, "promote", "--to", "prod", clock=lambda: MONDAY).code == 0
    assert set(seen(half_frozen).values()) == {"v2"}


def test_nobody_passes_a_frozen_promotion_that_readers_see_half_of(half_frozen: Path) -> None:
    v3 = made(half_frozen, "v3")
    refused(lane(half_frozen, "promote", v3, "--to", "prod", clock=lambda: FRIDAY), "prod-2")
    assert set(seen(half_frozen).values()) == {"v1", "v2"}


def test_a_rollback_is_not_stopped_by_a_freeze(half_frozen: Path) -> None:
    done = lane(half_frozen, "rollback", "prod", clock=lambda: FRIDAY)
    assert done.code == 0, done.err
    assert set(seen(half_frozen).values()) == {"v1"}
    assert state(half_frozen, "prod-2") == "REVERTED"


def test_a_frozen_lane_is_opened_by_break_glass_with_a_reason_and_a_second_person_only(half_frozen: Path) -> None:
    assert lane(half_frozen, "rollback", "prod", clock=lambda: FRIDAY).code == 0
    lane(half_frozen, "resume", "prod")
    v3 = made(half_frozen, "v3")
    asked = ["promote", v3, "--to", "prod", "--break-glass", "freeze"]
    refused(lane(half_frozen, *asked, clock=lambda: FRIDAY), "reason")
    refused(lane(half_frozen, *asked, "--reason", "outage", clock=lambda: FRIDAY), "second person")
    refused(lane(half_frozen, *asked, "--reason", "outage", "--second", "ana", clock=lambda: FRIDAY), "second person")
    retained = ["promote", v3, "--to", "prod", "--break-glass", "retained", "--reason", "x", "--second", "ben"]
    refused(lane(half_frozen, *retained, clock=lambda: FRIDAY), "never skipped")
    assert set(seen(half_frozen).values()) == {"v1"}
    opened = ["--reason", "outage", "--second", "ben"]
    refused(lane(half_frozen, *asked, *opened, clock=lambda: FRIDAY), "waits for ben to stand by its broken glass")
    refused(lane(half_frozen, "approve", "prod-3", actor="ana", clock=lambda: FRIDAY), "prod-3")
    assert set(seen(half_frozen).values()) == {"v1"}
    assert lane(half_frozen, "approve", "prod-3", actor="ben", clock=lambda: FRIDAY).code == 0
    done = lane(half_frozen, "promote", v3, "--to", "prod", clock=lambda: FRIDAY)
    assert done.code == 0, done.err
    assert set(seen(half_frozen).values()) == {"v3"}


def test_a_rolled_back_build_comes_back_only_when_a_person_lifts_its_quarantine(live: Path) -> None:
    v2 = promoted(live, "v2")
    assert lane(live, "rollback", "prod").code == 0
    refused(lane(live, "promote", v2, "--to", "prod"), "quarantine")
    lane(live, "resume", "prod")
    refused(lane(live, "promote", v2, "--to", "prod"), "quarantine")
    assert set(seen(live).values()) == {"v1"}
    assert lane(live, "resume", "prod", "--build", v2).code == 0
    assert lane(live, "promote", v2, "--to", "prod").code == 0
    assert set(seen(live).values()) == {"v2"}


# 10. History can't be edited


@pytest.mark.parametrize(
    "crime",
    [
        "update events set data = replace(data, 'orders_daily', 'orders_weekly') where type = 'promotion.planned'",
        "update events set actor = 'ben' where seq = 5",
        "delete from events where seq = 7",
        "delete from events where seq > (select max(seq) - 8 from events)",
    ],
)
def test_an_edited_history_does_not_verify(live: Path, crime: str) -> None:
    assert lane(live, "verify").code == 0
    with sqlite3.connect(live / ".lanewise" / "ledger.db") as ledger:
        with pytest.raises(sqlite3.DatabaseError, match="an event is never"):
            ledger.execute(crime)
        for (name,) in ledger.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            ledger.execute(f"drop trigger {name}")
        ledger.execute(crime)
    ledger.close()
    refused(lane(live, "verify"), "does not verify")


# Hostile files


@pytest.mark.parametrize(
    "name", ["a\nb.sh", "-rf.sh", "$(touch hacked).sh", "'; drop table x;--.sh", "ü\u202e.sh", " .sh"]
)
def test_hostile_file_names_are_built_as_they_are_or_refused(live: Path, name: str) -> None:
    (live / "pipelines" / name).write_text("true\n")
    done = lane(live, "build", "--format", "json")
    assert done.code in {0, 2}, done
    if done.code:
        assert done.err.startswith("error: "), done.err
        return
    assert lane(live, "promote", done.data["digest"], "--to", "prod").code == 0
    assert (live / ".lanewise" / "unpacked" / done.data["digest"][7:] / "pipelines" / name).exists()
    assert not list(live.parent.rglob("hacked"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret.sh"])
def test_a_link_out_of_the_project_is_not_built_in(live: Path, target: str) -> None:
    (live.parent / "secret.sh").write_text("top secret\n")
    (live / "pipelines" / "link.sh").symlink_to(target)
    done = lane(live, "build", "--format", "json")
    assert done.code == 2, done
    assert "link.sh" in done.err


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB, "environments:\n\tprod: {}\n", "environments: {prod: {}, prod: {}}\n",
        "environments: !!python/object:os.system {}",
        "environments: {prod: {retries: [}\n", "\x00\x01", "- 1\n", "",
        "x" * 10_000_000, "environments: {" + "a: {" * 3000,
    ],
)  # fmt: skip
def test_hostile_yaml_gets_one_clear_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_bytes(text.encode())
    done = lane(tmp_path, "config", "check", str(file))
    assert done.code == 2, done
    assert done.err.count("error: ") == 1, done.err[:2000]
    assert "hostile.yaml" in done.err
    assert len(done.err) < 2000


def test_a_secret_in_a_snippet_is_found_and_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text("environments:\n  prod: {password: hunter2hunter2}\n")
    done = lane(tmp_path, "config", "check", str(file))
    refused(done, "hostile.yaml:2:20", "secret")
    assert "hunter2hunter2" not in done.err + done.out
