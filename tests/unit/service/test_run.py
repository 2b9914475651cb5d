from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import lanewise.service.run as runs
from lanewise.builds.manifest import make_manifest
from lanewise.domain.build import Build
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.project import Grain, PartitionSpec, Project, Source, Table, TableKind
from lanewise.domain.run import Purpose, RunRequest
from lanewise.errors import ConfigError, GroundMoved, LedgerUnavailable, OutsideBroke, RunFailed
from lanewise.service.candidate import Candidate
from lanewise.service.claims import claims_of
from lanewise.service.compiled import compile_lane, write_compiled, write_lane
from lanewise.service.launch import Patience
from lanewise.service.run import Work, execute, request_for
from lanewise.testing.fake_builds import FakeBuildStore
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.fake_orchestrator import FakeOrchestrator
from lanewise.testing.fake_warehouse import FakeWarehouse

DAYS = ("2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05")
DAILY = Table("daily", TableKind.PARTITION, PartitionSpec("day", Grain.DAY))
TOTALS = Table("totals", TableKind.FULL)


def environment(**settings: object) -> Environment:
    secret = SecretRef("env:PGPASS", previous="env:PGPASS_OLD")
    connection = Connection("src_prod", "postgres", {"host": "prod.db"}, {"password": secret})
    return Environment("prod", 1, {"src_conn": "src_prod", **settings}, {"src_prod": connection})


class Workbench:
    """A context of fakes, around one build. ``days`` are what the command writes for each partition asked for."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, **project: object) -> None:
        (root / "pipelines").mkdir()
        (root / "pipelines" / "shop.py").write_text("print('hello')\n")
        (root / "lanewise.yaml").write_text("project: shop\n")
        shape: dict = {"tables": {"daily": DAILY, "totals": TOTALS}, "inputs": ("raw.orders",), **project}
        self.project = Project("shop", Source(("pipelines/**",)), "python -m pipelines.shop 'a b'", **shape)
        self.warehouse = FakeWarehouse(inputs={"raw.orders": "sha256:01"})
        self.lines: list[str] = []
        self.progressed: list[tuple[int, int]] = []
        self.exits: list[int] = []
        self.stray, self.skip = (), ""
        self.runner = FakeOrchestrator(self._pipeline)
        progress = SimpleNamespace(
            say=self.lines.append, advance=lambda _, done, total: self.progressed.append((done, total))
        )
        secrets = SimpleNamespace(
            resolve=lambda ref, previous=False: "hunter2", redact=lambda text: text.replace("hunter2", "***")
        )
        self.ctx = SimpleNamespace(
            root=root, home=root / ".lanewise", project=self.project, builds=FakeBuildStore(), ledger=FakeLedger(),
            runner=self.runner, orchestrator=lambda lane: self.runner,
            secrets=secrets, progress=progress, actor=SimpleNamespace(name="ana"),
            config=SimpleNamespace(log_format="text"),
        )  # fmt: skip
        build = Build(make_manifest(root, self.project))
        self.ctx.builds.put(build, root)
        self.build = Candidate(build, self.project, root)
        monkeypatch.setattr(runs, "_back_off", lambda attempt: self.lines.append(f"waited {attempt}"))

    def _pipeline(self, launch, document) -> int:
        days = json.loads(launch.environment["LANEWISE_PARTITIONS"])
        rows = {"daily": [{"day": day, "n": 1} for day in [*days, *self.stray]], "totals": [{"n": 1}]}
        for table in launch.request.tables:
            if table != self.skip:
                self.warehouse.write(launch.request.id, table, rows[table])
        return self.exits.pop(0) if self.exits else 0

    def work(self, *partitions: str, lane: Environment | None = None, **more: object) -> Work:
        tables = tuple(self.project.tables)
        return Work(self.build, lane or environment(), Purpose.CANARY, partitions, tables, id="r1", **more)

    def told(self, run: str = "r1") -> list[str]:
        return [event.type for event in self.ctx.ledger.read(f"run/shop/prod/{run}")]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    return Workbench(tmp_path, monkeypatch)


@pytest.fixture
def batched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    return Workbench(tmp_path, monkeypatch, batch=2)


def test_the_intent_is_written_before_anything_is_done(bench):
    seen = []
    bench.runner.pipeline = lambda launch, document: seen.append(bench.told()) or 1
    with pytest.raises(RunFailed):
        execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    assert seen == [["run.intended"]]
    assert bench.told() == ["run.intended", "run.failed"]


def test_a_ledger_that_can_not_be_written_starts_nothing(bench, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger is read-only")

    monkeypatch.setattr(bench.ctx.ledger, "append", away)
    with pytest.raises(LedgerUnavailable):
        execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    assert bench.runner.launches == []


def test_every_event_says_environment_build_purpose_and_partitions(bench):
    result = execute(bench.ctx, bench.work(*DAYS[:2], promotion="prod-7"), bench.warehouse)
    for event in bench.ctx.ledger.read("run/shop/prod/r1"):
        facts = [event.data[key] for key in ("environment", "build", "purpose", "partitions", "promotion")]
        assert facts == ["prod", bench.build.digest, "canary", list(DAYS[:2]), "prod-7"]
    assert result.rows == {"daily": 2, "totals": 1}


def test_the_command_is_split_as_a_shell_would_and_can_be_overridden(bench):
    assert request_for(bench.ctx, bench.work(DAYS[0])).command == ("python", "-m", "pipelines.shop", "a b")
    assert request_for(bench.ctx, bench.work(DAYS[0], command=("make", "it"))).command == ("make", "it")


def test_slices_belong_to_the_fingerprints_of_the_build(bench):
    result = execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    versions = bench.build.fingerprints(environment())
    assert {name: {s.version for s in found} for name, found in result.slices.items()} == {
        n: {v} for n, v in versions.items()
    }


def test_a_long_list_goes_in_batches_and_whole_tables_only_once(batched):
    result = execute(batched.ctx, batched.work(*DAYS), batched.warehouse)
    asked = [(launch.request.partitions, launch.request.tables) for launch, _ in batched.runner.launches]
    assert asked == [(DAYS[:2], ("daily", "totals")), (DAYS[2:4], ("daily",)), (DAYS[4:], ("daily",))]
    assert sorted(s.partition for s in result.slices["daily"]) == list(DAYS)
    assert len(result.slices["totals"]) == 1
    assert batched.progressed == [(2, 5), (4, 5), (5, 5)]
    assert batched.warehouse.rooms == {}


def test_a_failed_batch_fails_the_run_and_leaves_no_room(batched):
    batched.exits = [0, 1]
    with pytest.raises(RunFailed):
        execute(batched.ctx, batched.work(*DAYS), batched.warehouse)
    assert batched.told() == ["run.intended", "run.failed"]
    assert batched.warehouse.rooms == {}


def test_a_failed_command_is_tried_again_with_growing_pauses(bench):
    bench.exits = [1, 1, 0]
    result = execute(bench.ctx, bench.work(DAYS[0], lane=environment(retries=2)), bench.warehouse)
    assert len(bench.runner.launches) == 3
    assert [line for line in bench.lines if line.startswith("waited")] == ["waited 0", "waited 1"]
    assert result.rows["daily"] == 1
    assert bench.told() == ["run.intended", "run.ended"]


def test_retries_have_an_end(bench):
    bench.exits = [1] * 9
    with pytest.raises(RunFailed):
        execute(bench.ctx, bench.work(DAYS[0], lane=environment(retries=2)), bench.warehouse)
    assert len(bench.runner.launches) == 3


def test_output_that_can_not_be_published_is_not_tried_again(bench):
    bench.stray = ("2014-01-01",)
    with pytest.raises(RunFailed, match="not asked for: 2014-01-01") as caught:
        execute(bench.ctx, bench.work(DAYS[0], lane=environment(retries=5)), bench.warehouse)
    assert caught.value.hint == "filter the rows: where day in {run.partitions}"
    assert len(bench.runner.launches) == 1


def test_a_wanted_table_that_was_not_written_is_refused(bench):
    bench.skip = "totals"
    with pytest.raises(RunFailed, match="wrote nothing to totals"):
        execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)


def test_an_interrupted_run_is_written_down_and_its_room_is_gone(bench):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    bench.runner.pipeline = interrupted
    with pytest.raises(KeyboardInterrupt):
        execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    assert bench.ctx.ledger.last("run/shop/prod/r1").data["reason"] == "interrupted (KeyboardInterrupt)"
    assert bench.warehouse.rooms == {}


def test_the_reason_of_a_failure_is_redacted(bench):
    def leaking(*_: object) -> int:
        raise RunFailed("login with hunter2 failed")

    bench.runner.pipeline = leaking
    with pytest.raises(RunFailed):
        execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    assert bench.ctx.ledger.last("run/shop/prod/r1").data["reason"] == "login with *** failed"


def test_an_input_that_changed_since_it_was_pinned_is_noticed(bench):
    with pytest.raises(GroundMoved, match="inputs of prod changed"):
        execute(bench.ctx, bench.work(DAYS[0], inputs="sha256:99"), bench.warehouse)
    assert bench.runner.launches == []


def test_the_child_is_told_all_that_it_needs(bench, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", "00-ab-cd-01")
    execute(bench.ctx, bench.work(*DAYS[:2], "all"), bench.warehouse)
    launch, document = bench.runner.launches[0]
    told = launch.environment
    assert json.loads(told["LANEWISE_PARTITIONS"]) == document["run"]["partitions"] == list(DAYS[:2])
    assert (told["LANEWISE_ENV"], told["LANEWISE_BUILD"], told["LANEWISE_RUN_ID"]) == ("prod", bench.build.digest, "r1")
    assert (told["LANEWISE_PURPOSE"], told["TZ"], told["TRACEPARENT"]) == ("canary", "UTC", "00-ab-cd-01")
    assert (told["PGPASS"], told["PGPASS_OLD"]) == ("hunter2", "hunter2")
    assert told["PYTHONPATH"] == str(launch.directory)
    assert launch.request.partitions == DAYS[:2]
    assert "hunter2" not in json.dumps(document)
    assert not launch.compiled.exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, (0, None, None)), ({"retries": 3, "timeout": "90s", "sla": "30m"}, (3, 90.0, 1800.0)),
     ({"timeout": 1.5, "retries": None}, (0, 1.5, None))],
)  # fmt: skip
def test_patience_is_what_the_settings_say(settings, expected):
    assert Patience.of(environment(**settings)) == Patience(*expected)


@pytest.mark.parametrize("settings", [{"retries": "many"}, {"retries": -1}, {"retries": True}, {"timeout": "soon"}])
def test_impatience_that_makes_no_sense_is_refused(settings):
    with pytest.raises(ConfigError, match="of prod"):
        Patience.of(environment(**settings))


def test_claims_are_the_days_and_every_table_without_days():
    both = Project("shop", Source(()), "x", tables={"daily": DAILY, "totals": TOTALS})
    assert claims_of(both, DAYS[:2]) == ("partition 2013-01-01", "partition 2013-01-02", "table totals")
    assert claims_of(Project("shop", Source(()), "x", tables={"totals": TOTALS}), ("all",)) == ("table totals",)


def test_a_compiled_file_is_the_owners_alone_and_never_half_written(tmp_path):
    path = tmp_path / "compiled" / "prod.json"
    project = Project("shop", Source(()), "x", environment_variable="DEPLOY_ENV")
    write_compiled(path, compile_lane(environment(), project, "sha256:ab"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["connections"]["src_prod"]["secrets"] == {
        "password": {"text": "env:PGPASS", "previous": "env:PGPASS_OLD"}
    }
    with pytest.raises(TypeError):
        write_compiled(path, {"x": object()})
    assert [p.name for p in path.parent.iterdir()] == ["prod.json"]
    assert json.loads(path.read_text())["variable"] == "DEPLOY_ENV"


def test_a_compiled_file_that_can_not_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "compiled").write_text("a file where a folder belongs")
    with pytest.raises(OutsideBroke, match=r"prod\.json can't be written"):
        write_compiled(tmp_path / "compiled" / "prod.json", {})


def test_a_run_is_compiled_with_the_columns_of_every_table():
    project = Project("shop", Source(()), "x", tables={"daily": DAILY, "totals": TOTALS})
    request = RunRequest("r1", "shop", "prod", "b", "c", Purpose.CANARY, ("all",), ("totals",), ("x",))
    document = compile_lane(environment(), project, "b", request)
    assert document["run"]["declared"] == {"daily": [], "totals": []}
    assert document["run"]["partitions"] == []


def test_tables_without_days_can_be_run_alone(bench):
    execute(bench.ctx, bench.work("all"), bench.warehouse)
    launch, document = bench.runner.launches[0]
    assert launch.request.partitions == ("all",)
    assert document["run"]["partitions"] == []


def test_looking_at_config_never_touches_what_a_released_build_reads(bench):
    tree = write_lane(bench.ctx, environment(), bench.project, "")
    build = write_lane(bench.ctx, environment(), bench.project, bench.build.digest)
    assert tree != build
    assert json.loads(tree.read_text())["sources"].keys() == {"lanewise.yaml"}
    assert json.loads(build.read_text())["build"] == bench.build.digest


def test_a_command_of_ones_own_makes_a_version_of_its_own_and_an_append_keeps_its_state(tmp_path, monkeypatch):
    tables = {"daily": DAILY, "log": Table("log", TableKind.APPEND)}
    bench = Workbench(tmp_path, monkeypatch, tables=tables)
    own = request_for(bench.ctx, bench.work(DAYS[0]))
    spelled_out = request_for(bench.ctx, bench.work(DAYS[0], command=own.command))
    other = request_for(bench.ctx, bench.work(DAYS[0], command=("true",)))
    third = request_for(bench.ctx, bench.work(DAYS[0], command=("true", "x")))
    assert (own.by_hand, spelled_out.by_hand, other.by_hand) == (False, False, True)
    assert spelled_out.fingerprints == own.fingerprints == bench.build.fingerprints(environment())
    assert len({r.fingerprints["daily"] for r in (own, other, third)}) == 3
    assert other.fingerprints["log"] == own.fingerprints["log"]


def test_the_ledger_tells_a_command_from_the_build(tmp_path, monkeypatch):
    bench = Workbench(tmp_path, monkeypatch)
    execute(bench.ctx, bench.work(DAYS[0]), bench.warehouse)
    stream = "run/shop/prod/r1"
    assert not any("command" in event.data for event in bench.ctx.ledger.read(stream))
    execute(bench.ctx, replace(bench.work(DAYS[0], command=("true",)), id="r2"), bench.warehouse)
    assert [event.data.get("command") for event in bench.ctx.ledger.read("run/shop/prod/r2")] == [True, True]
