"""What a folder is turned into: who asks, and which parts are opened with what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.road import DAYS, PROJECT, SCRIPT, write_project

from lanewise.bootstrap import open_context
from lanewise.cli.app import main
from lanewise.service.build import make_build
from lanewise.service.live import run_live
from lanewise.service.promote import promote

WHO = "from lanewise.bootstrap import open_context; a = open_context().actor; print(a.name, a.proved_by)"


def asked_by(folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WHO], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "orders", "environments: {prod: {}}\n")


class TestWhoAsks:
    def test_is_the_user_of_the_process_whatever_the_environment_says(self, project: Path) -> None:
        forged = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "LANEWISE_ACTOR"), "ben")
        name, proved_by = asked_by(project, **forged).split()
        assert (name, proved_by) == (Path(f"/proc/{os.getpid()}").owner(), "os-user")

    def test_a_user_without_a_name_is_a_number(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        actor = open_context(project).actor
        assert (actor.name, actor.proved_by) == ("uid 54321", "os-user")

    def test_where_the_system_keeps_no_users_it_is_who_logged_in_and_said_to_be(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pwd", None)
        monkeypatch.setattr(os, "getlogin", lambda: "ann")
        actor = open_context(project).actor
        assert (actor.name, actor.proved_by) == ("ann", "os-login")


def test_the_live_build_has_its_inputs_whatever_branch_is_checked_out(tmp_path: Path) -> None:
    reading = PROJECT.replace("run: sh", "inputs: [raw.orders]\nrun: sh")
    environments = (
        "environments: {prod: {src_conn: files, data: {from: 2013-01-01, to: 2013-01-02}}}\n"
        "connections: {files: {type: files, path: inputs}}\n"
    )
    root = write_project(tmp_path / "orders", environments, reading)
    (root / "inputs" / "raw").mkdir(parents=True)
    (root / "inputs" / "raw" / "orders.csv").write_text("id\n1\n")
    (root / "pipelines" / "orders.sh").write_text(SCRIPT)
    promote(open_context(root), make_build(open_context(root)).digest, "prod")
    (root / "lanewise.yaml").write_text(PROJECT)
    assert run_live(open_context(root), "prod", [DAYS[2]]).map == 2


def test_a_lane_without_a_source_is_opened_without_one(project: Path) -> None:
    ctx = open_context(project)
    assert ctx.warehouse(ctx.config.environment("prod")).pointer().number == 0


@pytest.mark.parametrize("command", ["plan --to prod", "promote --to prod", "provision prod", "isolation", "gc"])
def test_a_driver_that_is_not_installed_is_named_with_the_line_that_installs_it(
    project: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("psycopg", "lanewise.adapters.warehouses.postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(("lanewise.adapters.pro",))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (project / "pipelines" / "orders.sh").write_text(SCRIPT)
    (project / "environments.yaml").write_text(
        "environments: {prod: {}}\nconnections:\n  'warehouse_{env}': {type: postgres, host: h, database: d}\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(project), *command.split()])
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert "psycopg" in said
    assert "pip install 'lanewise[postgres]'" in said
