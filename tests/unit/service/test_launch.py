"""One attempt of a run: a folder of its own with the build's files, under the build's interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

import lanewise.service.launch as launching
from lanewise.domain.promotion import State
from lanewise.domain.run import Purpose, RunRequest
from lanewise.errors import BuildTampered, Refused
from lanewise.service.candidate import open_candidate
from lanewise.service.command import run_command
from lanewise.service.launch import own_copy
from lanewise.service.live import run_live

from .lanes import DAYS, ONE, SCRIPT, Lanes

MESSY = (
    SCRIPT
    + """
test ! -e target || { echo "somebody was here" >&2; exit 9; }
mkdir target && echo $$ > target/manifest.json && : > state.sqlite && echo oops > pipelines/added.py
echo "# changed" >> pipelines/orders.sh
test "$(cat target/manifest.json)" = $$
"""
)


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders", ONE)


def leftovers(lanes: Lanes) -> list[Path]:
    return list((lanes.root / ".lanewise" / "runs").iterdir())


def test_a_pipeline_may_write_into_its_working_directory_again_and_again(lanes: Lanes) -> None:
    lanes.through(lanes.build("v1", MESSY))
    for _ in range(2):
        run_live(lanes.ctx(), "prod", [DAYS[0]])
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")
    assert leftovers(lanes) == []


def test_a_gates_command_may_write_there_too(lanes: Lanes, tmp_path: Path) -> None:
    ctx = lanes.ctx()
    candidate = open_candidate(ctx, lanes.build("v1"))
    for number in range(2):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        lane = ctx.config.environment("prod")
        assert run_command(ctx, candidate, lane, "mkdir target", timeout=60, scratch=scratch).exit_code == 0
    assert leftovers(lanes) == []


def test_two_runs_side_by_side_see_nothing_of_each_other(lanes: Lanes) -> None:
    ctx, build = lanes.ctx(), lanes.build("v1")
    request = RunRequest("r1", "orders", "prod", build, "", Purpose.SCHEDULED, (), (), ())
    with own_copy(ctx, request) as one:
        (one / "added.py").touch()
        (one / "pipelines" / "orders.sh").write_text("mine")
        with own_copy(ctx, request) as other:
            assert sorted(path.name for path in other.iterdir()) == ["lanewise.yaml", "pipelines"]
            assert (other / "pipelines" / "orders.sh").read_text() != "mine"
        assert (one / "added.py").exists()
    assert leftovers(lanes) == []


def test_what_was_added_to_the_unpacked_build_is_in_no_run(lanes: Lanes) -> None:
    build = lanes.build("v1", SCRIPT + "test ! -e duckdb.py\n")
    folder = open_candidate(lanes.ctx(), build).directory
    (folder / "duckdb.py").write_text("raise SystemExit('shadowed')")
    assert lanes.promote(build).state is State.SUCCEEDED


def test_a_file_of_the_build_that_was_changed_refuses_the_run(lanes: Lanes) -> None:
    lanes.through(lanes.build("v1"))
    (open_candidate(lanes.ctx(), lanes.build("v1")).directory / "pipelines" / "orders.sh").write_text("true")
    with pytest.raises(BuildTampered, match=r"orders\.sh' was changed"):
        run_live(lanes.ctx(), "prod", [DAYS[0]])
    assert leftovers(lanes) == []


def test_a_build_for_another_interpreter_is_not_run(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    v1 = lanes.build("v1")
    lanes.through(v1)
    monkeypatch.setattr(launching, "this_interpreter", lambda: "cpython-3.99")
    with pytest.raises(Refused, match=r"is for cpython-3\.\d+, and this is cpython-3\.99") as caught:
        run_live(lanes.ctx(), "prod", [DAYS[0]])
    assert "virtual environment of cpython-3." in caught.value.hint
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")
