"""A gate's command runs inside the verified build, with the target's settings, and nothing of ours around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.evidence import CommandReport
from lanewise.errors import RunFailed
from lanewise.service.candidate import open_candidate
from lanewise.service.command import run_command

from .lanes import ONE, Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders", ONE.replace("threshold: 1", "threshold: 42"))


def run(lanes: Lanes, scratch: Path, command: str, timeout: float = 60.0) -> CommandReport:
    ctx = lanes.ctx()
    candidate = open_candidate(ctx, lanes.build("v1"))
    scratch.mkdir(exist_ok=True)
    return run_command(ctx, candidate, ctx.config.environment("prod"), command, timeout=timeout, scratch=scratch)


def test_it_runs_in_the_builds_own_folder(lanes: Lanes, tmp_path: Path) -> None:
    done = run(lanes, tmp_path / "scratch", "ls pipelines lanewise.yaml")
    assert done.exit_code == 0
    assert "orders.sh" in done.tail


def test_it_sees_the_targets_settings(lanes: Lanes, tmp_path: Path) -> None:
    done = run(lanes, tmp_path / "scratch", "python -c 'import lanewise; print(lanewise.current().settings.threshold)'")
    assert (done.exit_code, done.tail.strip()) == (0, "42")


def test_words_are_split_and_variables_replaced_without_a_shell(lanes: Lanes, tmp_path: Path) -> None:
    done = run(lanes, tmp_path / "scratch", "echo $LANEWISE_ENV '$(id)' '; exit 3' $NOBODY_KNOWS")
    assert done.exit_code == 0
    assert done.tail.strip() == "prod $(id) ; exit 3 $NOBODY_KNOWS"


def test_a_report_that_it_leaves_is_read(lanes: Lanes, tmp_path: Path) -> None:
    cases = '<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>'
    xml = f'<testsuite tests="2" failures="1">{cases}</testsuite>'
    (lanes.root / "pipelines" / "report.xml").write_text(xml)
    done = run(lanes, tmp_path / "scratch", "cp pipelines/report.xml $LANEWISE_REPORTS/report.xml")
    assert (done.tests, done.failures) == (2, 1)


def test_a_command_that_cannot_be_found_is_told(lanes: Lanes, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="'nosuchcommand' can't be started"):
        run(lanes, tmp_path / "scratch", "nosuchcommand --x")


def test_a_command_that_takes_too_long_is_ended(lanes: Lanes, tmp_path: Path) -> None:
    assert run(lanes, tmp_path / "scratch", "sleep 60", timeout=0.5).exit_code != 0
