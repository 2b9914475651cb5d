"""What must hold wherever a build's command is started on this machine. A plug-in's author subclasses
``RunnerContract`` and gives it a runner::

class TestOurRunner(RunnerContract):
    @pytest.fixture
    def runner(self):
        return OurRunner(redact=SECRET_REDACTED)
"""

# ruff: noqa: D102, S101 - a conformance suite is made of assertions, and its tests' names are sentences
from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lanewise.domain.ports import Runner
from lanewise.domain.run import Launch, Purpose, RunRequest
from lanewise.errors import RunFailed

CANARY = "hunter2-canary-value"
_BINARIES = str(Path(sys.executable).parent)

MakeLaunch = Callable[..., Launch]


def redacted(text: str) -> str:
    """Stands for ``Secrets.redact``."""
    return text.replace(CANARY, "***")


def make_launch(folder: Path, *command: str, timeout: float | None = None, **variables: str) -> Launch:
    """A launch of ``command`` in ``folder/code``."""
    request = RunRequest(
        id="live-1", project="orders", environment="prod", build="sha256:" + "ab" * 32, config="sha256:cc",
        purpose=Purpose.SCHEDULED, partitions=("2013-01-01",), tables=("daily",), command=command,
    )  # fmt: skip
    code = folder / "code"
    code.mkdir(exist_ok=True)
    environment = {"PATH": f"{_BINARIES}:/usr/bin:/bin", "LANEWISE_ENV": "prod", **variables}
    return Launch(request, code, folder / "compiled.json", environment, folder / "logs" / "run.log", timeout)


class RunnerContract:
    """The conformance suite of the ``Runner`` port."""

    @pytest.fixture
    def runner(self) -> Runner:
        """The runner under test, striking out what ``redacted`` does: the one thing to override."""
        raise NotImplementedError

    def test_the_command_runs_in_the_builds_folder(self, runner: Runner, tmp_path: Path) -> None:
        outcome = runner.run(make_launch(tmp_path, "python", "-c", "import os; print(os.getcwd())"))
        assert outcome.exit_code == 0
        assert outcome.tail == str(tmp_path / "code")

    def test_nothing_but_the_launchs_variables_is_inherited(
        self, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
        code = "import os; print(*sorted(os.environ))"
        outcome = runner.run(make_launch(tmp_path, "python", "-c", code, GREETING="hello"))
        assert {"PATH", "LANEWISE_ENV", "GREETING"} <= set(outcome.tail.split())
        assert "AWS_SECRET_ACCESS_KEY" not in outcome.tail
        assert "HOME" not in outcome.tail.split()

    @pytest.mark.parametrize("code", [1, 3, 255])
    def test_another_exit_code_is_an_outcome(self, runner: Runner, tmp_path: Path, code: int) -> None:
        outcome = runner.run(make_launch(tmp_path, "python", "-c", f"import sys; print('why'); sys.exit({code})"))
        assert (outcome.exit_code, outcome.tail, outcome.timed_out) == (code, "why", False)

    def test_a_command_that_kills_itself_did_not_end_well(self, runner: Runner, tmp_path: Path) -> None:
        code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        assert runner.run(make_launch(tmp_path, "python", "-c", code)).exit_code != 0

    @pytest.mark.parametrize("command", [("no-such-program",), ()])
    def test_a_program_that_is_not_there_is_one_clear_error(
        self, runner: Runner, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        with pytest.raises(RunFailed) as caught:
            runner.run(make_launch(tmp_path, *command))
        assert caught.value.hint

    def test_no_shell_looks_at_the_command(self, runner: Runner, tmp_path: Path) -> None:
        outcome = runner.run(make_launch(tmp_path, "echo", "$HOME;", "*", "`id`", ">x"))
        assert outcome.tail == "$HOME; * `id` >x"
        assert not (tmp_path / "code" / "x").exists()

    def test_every_line_of_the_log_says_what_it_belongs_to(self, runner: Runner, tmp_path: Path) -> None:
        launch = make_launch(tmp_path, "python", "-c", "import sys; print('a'); print('b', file=sys.stderr)")
        outcome = runner.run(launch)
        lines = Path(outcome.log).read_text(encoding="utf-8").splitlines()
        assert sorted(line[-1] for line in lines) == ["a", "b"]
        for line in lines:
            for label in ("prod", "abababab", "orders", "scheduled", "live-1"):
                assert label in line

    def test_a_secret_is_in_neither_the_log_nor_the_tail(self, runner: Runner, tmp_path: Path) -> None:
        outcome = runner.run(make_launch(tmp_path, "python", "-c", f"print('pass {CANARY}')"))
        assert outcome.tail == "pass ***"
        assert CANARY not in Path(outcome.log).read_text(encoding="utf-8")

    def test_output_that_is_no_text_and_has_no_end_does_no_harm(self, runner: Runner, tmp_path: Path) -> None:
        code = "import sys; sys.stdout.buffer.write(b'\\xff\\x00' * 100_000); print(); print('end')"
        outcome = runner.run(make_launch(tmp_path, "python", "-c", code))
        assert outcome.exit_code == 0
        assert outcome.tail.endswith("end")

    def test_a_timeout_ends_the_command_and_all_that_it_started(self, runner: Runner, tmp_path: Path) -> None:
        launch = make_launch(tmp_path, "python", "-c", parent_code("time.sleep(600)"), timeout=1.5)
        outcome = runner.run(launch)
        assert outcome.timed_out
        assert outcome.exit_code != 0
        assert_gone(int((tmp_path / "code" / "child").read_text()))

    def test_a_command_that_ends_leaves_no_orphan(self, runner: Runner, tmp_path: Path) -> None:
        outcome = runner.run(make_launch(tmp_path, "python", "-c", parent_code("pass")))
        assert outcome.exit_code == 0
        assert_gone(int((tmp_path / "code" / "child").read_text()))


def parent_code(then: str) -> str:
    """Code that starts a child which ignores SIGTERM, writes its number down, and goes on with ``then``."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    return (
        "import subprocess, sys, time;"
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE);"
        f"p.stdout.read(1); open('child', 'w').write(str(p.pid)); {then}"
    )


def assert_gone(pid: int) -> None:
    """Wait until a process has ended, at most five seconds."""
    for _ in range(100):  # its new parent may take a moment to bury it
        if not _lives(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
