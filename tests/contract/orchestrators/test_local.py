from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lanewise.adapters.orchestrators.local import LocalOrchestrator, LocalRunner
from lanewise.domain.ports import Runner
from lanewise.domain.serving import Served
from lanewise.errors import OutsideBroke, Refused
from lanewise.testing.runner import RunnerContract, assert_gone, make_launch, redacted


class TestLocalRunner(RunnerContract):
    @pytest.fixture
    def runner(self) -> Runner:
        return LocalRunner(redact=redacted, grace=0.5)


@pytest.fixture
def runner() -> LocalRunner:
    return LocalRunner(redact=redacted, grace=0.5)


def test_python_is_this_interpreter(runner, tmp_path):
    assert runner.run(make_launch(tmp_path, "python", "-c", "import sys; print(sys.executable)")).tail == sys.executable


def test_programs_of_the_virtual_environment_are_found(runner, tmp_path):
    assert runner.run(make_launch(tmp_path, "pytest", "--version")).tail.startswith("pytest")


def test_json_lines_keep_their_fields_and_can_not_forge_labels(runner, tmp_path):
    code = 'print(\'plain\'); print(\'{"event": "own", "n": 1, "environment": "dev"}\'); print(\'{broken\')'
    outcome = runner.run(make_launch(tmp_path, "python", "-c", code, LANEWISE_LOG_FORMAT="json"))
    lines = [json.loads(line) for line in Path(outcome.log).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["plain", "own", "{broken"]
    assert lines[1]["n"] == 1
    assert {(line["environment"], line["build"], line["run"]) for line in lines} == {("prod", "abababab", "live-1")}


def test_the_log_is_the_owners_alone_and_grows_with_retries(runner, tmp_path):
    for _ in range(2):
        outcome = runner.run(make_launch(tmp_path, "echo", "hello"))
    assert len(Path(outcome.log).read_text().splitlines()) == 2
    assert Path(outcome.log).stat().st_mode & 0o777 == 0o600


def test_only_the_last_lines_are_kept_as_the_tail(runner, tmp_path):
    outcome = runner.run(make_launch(tmp_path, "python", "-c", "print(*range(1000), sep='\\n')"))
    assert outcome.tail.splitlines() == [str(n) for n in range(960, 1000)]
    assert len(Path(outcome.log).read_text().splitlines()) == 1000


def test_a_log_that_can_not_be_written_is_one_clear_error(runner, tmp_path):
    (tmp_path / "logs").write_text("a file where a folder belongs")
    with pytest.raises(OutsideBroke, match="can't be written"):
        runner.run(make_launch(tmp_path, "echo"))


def test_a_log_on_a_full_disk_does_not_stop_the_run(runner, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run.log").symlink_to("/dev/full")
    outcome = runner.run(make_launch(tmp_path, "python", "-c", "print('x' * 500_000); print('end')"))
    assert (outcome.exit_code, outcome.tail[-3:]) == (0, "end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_runner_that_is_stopped_takes_the_whole_group_with_it(tmp_path, number):
    code = (
        "from pathlib import Path\n"
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "from lanewise.adapters.orchestrators.local import LocalOrchestrator, LocalRunner\n"
        "from lanewise.testing.runner import make_launch, redacted, parent_code\n"
        f"launch = make_launch(Path({str(tmp_path)!r}), 'python', '-c', parent_code('time.sleep(600)'))\n"
        "LocalRunner(redact=redacted, grace=0.5).run(launch)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    child = tmp_path / "code" / "child"
    deadline = time.monotonic() + 60
    while not (child.exists() and child.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) != 0
    assert_gone(int(child.read_text()))


def test_a_running_command_does_not_hold_the_terminal(runner, tmp_path):
    outcome = runner.run(
        make_launch(tmp_path, "python", "-c", "import os, sys; print(os.getsid(0), sys.stdin.read() == '')")
    )
    session, empty = outcome.tail.split()
    assert int(session) != os.getsid(0)
    assert empty == "True"


def test_a_build_whose_tests_hold_broken_code_is_served_and_one_whose_pipeline_is_broken_is_not(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "broken.py").write_text("def (")
    there = LocalOrchestrator(LocalRunner(redact=redacted), tmp_path, "prod")
    served = Served("orders", "prod", "sha256:" + "a" * 64, "c", tmp_path, tmp_path / "x.json", "orders")
    there.serve(served)
    (tmp_path / "pipeline.py").write_text("x = 1\ndef (")
    with pytest.raises(Refused, match=r"pipeline\.py:2"):
        there.serve(served)
