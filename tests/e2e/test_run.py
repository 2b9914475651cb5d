from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.run import Purpose
from lanewise.errors import BuildTampered, GroundMoved, LeaseHeld, NotFound, Refused, RunFailed, WrongInput
from lanewise.service.build import checkout
from lanewise.service.live import run_live, want

from .pipelines import CODE, DAYS, ENVIRONMENTS, PROJECT, release, write_orders, write_project

CANARY = "hunter2-canary-value"
LANE = str(Path(sys.executable).with_name("lane"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAW_TOKEN", CANARY)
    folder = tmp_path / "orders"
    folder.mkdir()
    write_project(folder)
    return folder


def read(root: Path, text: str, environment: str = "prod") -> list[tuple]:
    with duckdb.connect(str(root / ".lanewise" / "warehouse" / f"{environment}.duckdb"), read_only=True) as connection:
        return connection.execute(text).fetchall()


def per_day(root: Path) -> dict[str, int]:
    return {str(day): n for day, n in read(root, "select order_date, count(*) from orders_daily group by 1")}


def told(ctx: Workshop, run: str) -> list[str]:
    return [event.type for event in ctx.ledger.read(f"run/orders/prod/{run}")]


def lane(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LANE, *arguments], cwd=root, capture_output=True, text=True, check=False)


def edit_code(root: Path, code: str) -> None:
    write_project(root, code=code)


def test_a_scheduled_run_writes_audits_and_publishes_its_days(root):
    ctx = release(root)
    done = run_live(ctx, "prod", [DAYS[2]])
    assert per_day(root) == dict.fromkeys(DAYS[:3], 10)
    assert done.run.request.purpose is Purpose.SCHEDULED
    assert done.run.rows == {"orders_daily": 10, "totals": 1}
    assert told(ctx, done.run.request.id) == ["run.intended", "run.ended", "run.audited", "run.published"]
    assert done.map == ctx.warehouse(want(ctx, "prod", [DAYS[2]]).lane).pointer().number


def test_a_rerun_replaces_the_published_day_and_no_other(root):
    ctx = release(root)
    write_orders(root, [f"7,{DAYS[0]},1.00", f"8,{DAYS[1]},1.00"])
    done = run_live(ctx, "prod", [DAYS[0]])
    assert done.run.request.purpose is Purpose.RERUN
    assert per_day(root) == {DAYS[0]: 1, DAYS[1]: 10}


def test_data_that_breaks_a_check_is_never_seen(root):
    ctx = release(root)
    write_orders(root, [f"7,{DAYS[2]},1.00", f"7,{DAYS[2]},2.00"])
    with pytest.raises(RunFailed, match=r"did not pass audit: orders_daily: .*unique"):
        run_live(ctx, "prod", [DAYS[2]])
    assert per_day(root) == dict.fromkeys(DAYS[:2], 10)
    assert read(root, "from totals") == [(40,)]
    [stream] = ctx.ledger.streams("run/orders/prod/live-")
    assert [e.type for e in ctx.ledger.read(stream)] == ["run.intended", "run.ended", "run.audited", "run.failed"]


def test_no_rows_at_all_is_doubt_and_doubt_does_not_pass(root):
    ctx = release(root)
    write_orders(root, [f"7,{DAYS[0]},1.00"])
    with pytest.raises(RunFailed, match="looked at no rows"):
        run_live(ctx, "prod", [DAYS[3]])
    assert per_day(root) == dict.fromkeys(DAYS[:2], 10)


def test_a_command_that_fails_tells_its_last_line_and_publishes_nothing(root):
    ctx = release(root)
    with pytest.raises(RunFailed, match="exit code 3: out of luck") as caught:
        run_live(ctx, "prod", [DAYS[2]], ["python", "-c", "import sys; print('out of luck'); sys.exit(3)"])
    assert Path(caught.value.hint.removeprefix("its log is ")).read_text().count("run=live-") == 1
    assert per_day(root) == dict.fromkeys(DAYS[:2], 10)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_any_command_gets_the_same_treatment(root, ending):
    ctx = release(root)
    script = root / "load.sh"
    day = "select 7 as order_id, date '2013-01-03' as order_date, 1.5::double as amount"
    copy = f"copy ({day}) to '%s/orders_daily.{ending}'"
    script.write_text(
        "#!/bin/sh\nset -e\n"
        f'python -c "import duckdb, os; duckdb.connect().execute(\\"{copy}\\" % os.environ[\'LANEWISE_OUTPUTS\'])"\n'
        "echo orders > $LANEWISE_OUTPUTS/totals.csv; echo 40 >> $LANEWISE_OUTPUTS/totals.csv\n"
        'test "$LANEWISE_PARTITIONS" = \'["2013-01-03"]\'; test $DEPLOY_ENV$LANEWISE_ENV = prodprod\n'
    )
    script.chmod(0o755)
    done = run_live(ctx, "prod", [DAYS[2]], [str(script)])
    assert done.run.rows == {"orders_daily": 1, "totals": 1}
    assert per_day(root)[DAYS[2]] == 1


def test_a_table_that_was_not_written_is_refused(root):
    ctx = release(root)
    with pytest.raises(RunFailed, match="wrote nothing to orders_daily"):
        run_live(ctx, "prod", [DAYS[2]], ["true"])


def test_rows_of_days_that_were_not_asked_for_are_refused(root):
    edit_code(root, CODE.replace("where order_date in {run.partitions}", ""))
    with pytest.raises(RunFailed, match="not asked for: 2013-01-03, 2013-01-04"):
        release(root)


def test_rows_of_no_day_are_refused(root):
    ctx = release(root)
    write_orders(root, ["7,,1.00", f"8,{DAYS[2]},1.00"])
    code = (
        "import lanewise\n"
        "with lanewise.current().run() as run:\n"
        "    run.sql(f\"insert into {run.output('orders_daily')} select * from {run.input('raw.orders')}\")\n"
        "    run.sql(f\"insert into {run.output('totals')} select 1\")"
    )
    with pytest.raises(RunFailed, match="1 rows of orders_daily have no order_date"):
        run_live(ctx, "prod", [DAYS[2]], ["python", "-c", code])


def test_a_block_left_half_way_is_refused_even_when_the_command_ends_well(root):
    ctx = release(root)
    code = (
        "import lanewise, os\n"
        "with lanewise.current().run() as run:\n"
        "    run.sql(f\"insert into {run.output('totals')} select 1\"); os._exit(0)"
    )
    with pytest.raises(RunFailed, match="half-way"):
        run_live(ctx, "prod", [DAYS[2]], ["python", "-c", code])


def test_nothing_live_is_refused_with_the_way_on(root):
    ctx = open_context(root)
    with pytest.raises(Refused, match="nothing is live in prod") as caught:
        run_live(ctx, "prod", [DAYS[0]])
    assert "lane promote --to prod" in caught.value.hint
    with pytest.raises(NotFound) as unknown:
        run_live(ctx, "prd", [DAYS[0]])
    assert unknown.value.hint == "did you mean prod?"


def test_a_project_with_partitions_is_not_run_without_naming_some(root):
    ctx = release(root)
    with pytest.raises(Refused, match="none is named"):
        run_live(ctx, "prod")
    with pytest.raises(WrongInput, match="is no day partition"):
        run_live(ctx, "prod", ["2013-1-3"])


def test_a_changed_byte_in_the_unpacked_build_refuses_the_run(root):
    ctx = release(root)
    folder = checkout(ctx, want(ctx, "prod", [DAYS[2]]).build.digest)
    (folder / "pipelines" / "orders.py").chmod(0o644)
    (folder / "pipelines" / "orders.py").write_text("print('mine now')\n")
    with pytest.raises(BuildTampered, match=r"orders\.py' was changed"):
        run_live(ctx, "prod", [DAYS[2]])


def test_the_live_build_runs_and_not_the_working_tree(root):
    ctx = release(root)
    edit_code(root, "raise SystemExit('the working tree ran')")
    assert run_live(ctx, "prod", [DAYS[2]]).map == 2


def test_retries_start_over_in_a_fresh_room(root):
    write_project(root, environments=ENVIRONMENTS.replace("retries: 0", "retries: 2"))
    flag = root / "tries"
    release(root)
    code = (
        f"import os; f = open({str(flag)!r}, 'a'); f.write('x'); f.close()\n"
        "assert not os.listdir(os.environ['LANEWISE_OUTPUTS'])\n"
        f"open(os.environ['LANEWISE_OUTPUTS'] + '/junk.csv', 'w').close(); n = os.path.getsize({str(flag)!r})\n"
        "import sys; sys.exit(0 if n > 2 else 1)"
    )
    with pytest.raises(RunFailed, match="wrote nothing"):
        run_live(open_context(root), "prod", [DAYS[2]], ["python", "-c", code])
    assert flag.read_text() == "xxx"


def test_a_timeout_ends_the_run(root):
    write_project(root, environments=ENVIRONMENTS.replace("retries: 0", "retries: 0, timeout: 5s"))
    ctx = release(root)
    with pytest.raises(RunFailed, match="killed after 5 s"):
        run_live(ctx, "prod", [DAYS[2]], ["sleep", "600"])


def test_a_run_longer_than_its_sla_is_published_and_said_to_be_late(root):
    write_project(root, environments=ENVIRONMENTS.replace("retries: 0", "retries: 0, sla: 0s"))
    ctx = release(root)
    assert run_live(ctx, "prod", [DAYS[2]]).run.late


def test_long_lists_of_partitions_go_in_batches(root):
    write_project(root, project=PROJECT.replace("inputs:", "batch: 2\n    inputs:"))
    ctx = release(root, partitions=DAYS[:3])
    assert per_day(root) == dict.fromkeys(DAYS[:3], 10)
    done = run_live(ctx, "prod", DAYS)
    assert per_day(root) == dict.fromkeys(DAYS, 10)
    assert read(root, "from totals") == [(40,)]
    intended = ctx.ledger.read(f"run/orders/prod/{done.run.request.id}")[0]
    assert len(intended.data["rooms"]) == 2
    assert not list((root / ".lanewise" / "warehouse" / "prod" / "runs").glob("*"))


def test_two_runs_of_one_day_do_not_interleave_and_two_days_lose_nothing(root):
    write_project(root, project=PROJECT[: PROJECT.index("      totals:")], code=CODE.rsplit("\n", 2)[0])
    release(root)

    def go(day: str) -> int:
        return run_live(open_context(root), "prod", [day], wait=timedelta(seconds=120)).map

    with ThreadPoolExecutor(4) as pool:
        maps = list(pool.map(go, [DAYS[2], DAYS[3], DAYS[2], DAYS[0]]))
    assert sorted(maps) == [2, 3, 4, 5]
    assert per_day(root) == dict.fromkeys(DAYS, 10)


def test_a_run_says_whose_day_it_is_when_it_will_not_wait(root):
    ctx = release(root)
    code = f"import time; open({str(root / 'begun')!r}, 'w').close(); time.sleep(600)"
    held = pytest.raises(LeaseHeld, match=r"partition 2013-01-03 of prod is held by run live-")
    began = len(ctx.ledger.streams("run/orders/prod/live-"))
    with Started(root, "run", "prod", "-p", DAYS[2], "--", "python", "-c", code), held:
        run_live(ctx, "prod", [DAYS[2]], wait=timedelta(0))
    [terminated] = ctx.ledger.streams("run/orders/prod/live-")[began:]
    assert ctx.ledger.last(terminated).data["reason"] == "interrupted (KeyboardInterrupt)"


class Started:
    """``lane …`` in the background until the block ends, its command begun."""

    def __init__(self, root: Path, *arguments: str, stop: int = signal.SIGTERM) -> None:
        self.root, self.arguments, self.stop = root, arguments, stop

    def __enter__(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [LANE, *self.arguments], cwd=self.root,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (self.root / "begun").exists():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(self.stop)
        self.process.wait(60)


@pytest.mark.crash
def test_a_run_that_was_killed_blocks_nobody_and_is_reported(root):
    ctx = release(root)
    code = f"import time; open({str(root / 'begun')!r}, 'w').close(); time.sleep(5)"
    with Started(root, "run", "prod", "-p", DAYS[2], "--", "python", "-c", code, stop=signal.SIGKILL):
        pass
    [killed] = ctx.ledger.streams("run/orders/prod/live-")
    done = run_live(ctx, "prod", [DAYS[2]], wait=timedelta(0))
    assert told(ctx, killed.rpartition("/")[2]) == ["run.intended", "run.failed"]
    assert "thrown away" in ctx.ledger.last(killed, "run.failed").data["reason"]
    assert per_day(root)[DAYS[2]] == 10
    assert told(ctx, done.run.request.id)[-1] == "run.published"


@pytest.mark.crash
def test_a_run_that_died_after_publishing_is_written_down_as_published(root, monkeypatch):
    ctx = release(root)
    append = ctx.ledger.append

    def dying(stream, drafts, **options):
        if drafts[0].type == "run.published":
            raise SystemExit("kill -9, as far as the ledger can tell")
        return append(stream, drafts, **options)

    monkeypatch.setattr(ctx.ledger, "append", dying)
    with pytest.raises(SystemExit):
        run_live(ctx, "prod", [DAYS[2]])
    monkeypatch.undo()
    monkeypatch.setenv("RAW_TOKEN", CANARY)
    [stream] = ctx.ledger.streams("run/orders/prod/live-")
    assert ctx.ledger.last(stream).type == "run.audited"
    run_live(ctx, "prod", [DAYS[3]])
    observed = ctx.ledger.last(stream)
    assert (observed.type, observed.data["map"], observed.data["observed"]) == ("run.published", 2, True)
    assert per_day(root) == dict.fromkeys(DAYS, 10)


def test_another_release_meanwhile_refuses_the_publication(root, monkeypatch):
    ctx = release(root)
    wanted = want(ctx, "prod", [DAYS[2]])
    warehouse = ctx.warehouse(wanted.lane)
    stage = type(warehouse).stage

    def overtaken(self, request, tables):
        found = stage(self, request, tables)
        monkeypatch.undo()
        monkeypatch.setenv("RAW_TOKEN", CANARY)
        edit_code(root, CODE + "    # another build\n")
        release(root)
        return found

    monkeypatch.setattr(type(warehouse), "stage", overtaken)
    with pytest.raises(GroundMoved, match="another release went live"):
        run_live(ctx, "prod", [DAYS[2]])
    assert per_day(root) == dict.fromkeys(DAYS[:2], 10)


def test_a_promotions_fence_does_not_stop_a_run(root):
    ctx = release(root)
    ctx.warehouse(want(ctx, "prod", [DAYS[2]]).lane).raise_fence(41)
    assert run_live(ctx, "prod", [DAYS[2]]).map == 2


def test_the_state_of_a_merge_is_built_on(root):
    project = PROJECT.replace("kind: full", "kind: merge\n        key: [id]").replace(
        "{orders: BIGINT}", "{id: BIGINT, n: BIGINT}"
    )
    state = "from {run.state('totals')}"
    code = CODE.replace(
        "select count(*) from {run.input('raw.orders')}",
        f"select 1, (select coalesce(sum(n), 0) {state}) + 1 union all select 5 + count(*), 0 {state}",
    )
    write_project(root, project=project, code=code)
    ctx = release(root)
    assert sorted(read(root, "from totals")) == [(1, 1), (5, 0)]
    run_live(ctx, "prod", [DAYS[2]])
    assert sorted(read(root, "from totals")) == [(1, 2), (5, 0), (7, 0)]


def test_an_append_goes_on_where_it_ended(root):
    project = PROJECT.replace("kind: full", "kind: append\n        offset: id").replace(
        "{orders: BIGINT}", "{id: BIGINT}"
    )
    code = CODE.replace("select count(*) from {run.input('raw.orders')}", "select {run.offset('totals') or 0} + 1")
    write_project(root, project=project, code=code)
    ctx = release(root)
    run_live(ctx, "prod", [DAYS[2]])
    run_live(ctx, "prod", [DAYS[3]])
    assert sorted(read(root, "from totals")) == [(1,), (2,), (3,)]


def test_lane_run_prints_what_it_published_and_json_for_programs(root):
    release(root)
    plain = lane(root, "run", "prod", "--from", DAYS[2], "--to", DAYS[3])
    assert (plain.returncode, plain.stderr.count("Traceback")) == (0, 0)
    assert plain.stdout.startswith("published as map 2: prod")
    assert "orders_daily  20 rows  2 checks passed" in plain.stdout
    begins = next(line for line in plain.stderr.splitlines() if "run begins" in line)
    assert all(label in begins for label in ("environment=prod", "build=", "purpose=scheduled", "run=live-"))
    done = lane(root, "run", "prod", "-p", DAYS[2], "--format", "json")
    data = json.loads(done.stdout)
    assert (data["map"], data["purpose"], data["rows"]) == (3, "rerun", {"orders_daily": 10, "totals": 1})


def test_a_dry_run_does_nothing(root):
    ctx = release(root)
    before = ctx.ledger.head()
    done = lane(root, "run", "prod", "-p", DAYS[2], "--dry-run", "--format", "json", "--", "make", "it")
    assert (done.returncode, json.loads(done.stdout)["command"]) == (0, ["make", "it"])
    assert (
        json.loads(lane(root, "run", "prod", "-p", DAYS[2], "--dry-run", "--format", "json").stdout)["purpose"]
        == "scheduled"
    )
    assert ctx.ledger.head() == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["prod"], 1, "none is named"), (["prd", "-p", DAYS[2]], 2, "did you mean prod"),
     (["prod", "--from", DAYS[2]], 2, "go together"),
     (["prod", "--from", DAYS[2], "--to", DAYS[0]], 2, "is after"),
     (["dev", "-p", DAYS[2]], 1, "nothing is live in dev"),
     (["prod", "-p", DAYS[2], "--", "no-such-program"], 1, "can't be started")],
)  # fmt: skip
def test_lane_run_refuses_with_the_right_exit_code(root, arguments, code, words):
    release(root)
    done = lane(root, "run", *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert words in done.stderr


def test_every_log_line_carries_its_labels_from_the_first_on(root, monkeypatch):
    release(root)
    monkeypatch.setenv("LANEWISE_LOG_FORMAT", "json")
    done = lane(root, "run", "prod", "-p", DAYS[2])
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines[0]["event"] == "run begins"
    for line in lines:
        assert {"environment", "build", "project", "purpose", "run"} <= set(line)
    log = next((root / ".lanewise" / "logs").glob("live-*.log")).read_text()
    own = [json.loads(line) for line in log.splitlines()]
    assert own[0]["event"] == "computing ('2013-01-03')"
    assert all((line["environment"], line["run"][:5]) == ("prod", "live-") for line in own)


def test_a_secret_reaches_the_run_and_nothing_that_is_kept(root, capfd):
    ctx = release(root)
    code = CODE.replace("lane.log.info(", "import os; print('value', lane.connection('src').token); lane.log.info(")
    edit_code(root, "import json, os\nprint(json.dumps(dict(os.environ)))\n" + textwrap.dedent(code))
    ctx = release(root)
    done = run_live(ctx, "prod", [DAYS[2]])
    log = Path(done.run.log).read_text()
    assert "value ***" in log
    out = capfd.readouterr()
    assert CANARY not in out.out + out.err
    kept = [path for path in (root / ".lanewise").rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if CANARY.encode() in path.read_bytes()]


def test_only_this_environments_secrets_and_no_other_variable_reach_the_run(root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("VAULT_TOKEN", CANARY)
    monkeypatch.setenv("TRACEPARENT", "00-abc-def-01")
    ctx = release(root)
    code = f"import json, os; json.dump(dict(os.environ), open({str(root / 'seen')!r}, 'w'))"
    with pytest.raises(RunFailed):
        run_live(ctx, "prod", [DAYS[2]], ["python", "-c", code])
    seen = json.loads((root / "seen").read_text())
    assert seen["RAW_TOKEN"] == CANARY
    assert (seen["TRACEPARENT"], seen["TZ"]) == ("00-abc-def-01", "UTC")
    assert not {"AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN"} & set(seen)
    assert set(seen) <= {
        "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PATH", "TZ",
        "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH",
        "DEPLOY_ENV", "RAW_TOKEN", "TRACEPARENT", "SSL_CERT_FILE",
        *(name for name in seen if name.startswith("LANEWISE_")),
    }  # fmt: skip
    assert not Path(seen["LANEWISE_COMPILED"]).exists()
