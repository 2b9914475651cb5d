"""A terminal in a small project: commands are typed as a user types them, and their exit codes insisted on."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.road import SCRIPT, seen, write_project
from tests.unit.service.lanes import TWO_APPROVED

from lanewise.cli.app import main


@dataclass(frozen=True)
class Said:
    """What a command printed, on standard output and beside it."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]

    def __contains__(self, text: str) -> bool:
        return text in " ".join(f"{self.out}\n{self.err}".split())


class Terminal:
    """Types ``lane`` commands in one project."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._capsys, self._monkeypatch = root, capsys, monkeypatch

    def lane(self, *arguments: str, actor: str = "ana", code: int = 0) -> Said:
        """Type it; no exit code but ``code`` is right, and a traceback never is."""
        self._monkeypatch.setenv("LANEWISE_ACTOR", actor)
        self._capsys.readouterr()
        logging.getLogger("lanewise").handlers.clear()  # of the command before, which was a process of its own
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self._capsys.readouterr()
        said = Said(out, err)
        assert (ended.value.code or 0) == code, said
        assert "Traceback" not in err
        assert "unexpected" not in err
        return said

    def quietly(self, *arguments: str, actor: str = "ana") -> None:
        """As far as it goes, whatever it says."""
        self._monkeypatch.setenv("LANEWISE_ACTOR", actor)
        with pytest.raises(SystemExit):
            main(list(arguments))

    def write(self, name: str, script: str = SCRIPT) -> None:
        """The working tree's pipeline; its rows say ``name``."""
        (self.root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))

    def build(self, name: str, script: str = SCRIPT) -> str:
        """The first digits of a build of it."""
        self.write(name, script)
        return str(self.lane("build", "--format", "json").json["short"])

    def environments(self, text: str) -> None:
        (self.root / "environments.yaml").write_text(text)

    def release(self, name: str, script: str = SCRIPT) -> str:
        """Into stage and, approved by ben, into prod."""
        build = self.build(name, script)
        self.lane("promote", build, "--to", "stage")
        coming = self.lane("status", "prod", "--format", "json").json["lanes"][0]["coming"]
        self.lane("approve", coming[0]["id"], "--go", actor="ben")
        return build

    def seen(self, environment: str = "prod") -> dict[str, str]:
        return seen(self.root, environment)


@pytest.fixture
def open_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Terminal]:
    """Opens a terminal in a new project."""

    def opened(environments: str = TWO_APPROVED) -> Terminal:
        root = write_project(tmp_path / "orders", environments)
        for name in [name for name in os.environ if name.startswith("LANEWISE")]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(root)
        terminal = Terminal(root, capsys, monkeypatch)
        terminal.write("v1")
        return terminal

    return opened


@pytest.fixture
def terminal(open_terminal: Callable[..., Terminal]) -> Terminal:
    """Stage and prod; prod wants ben's or cleo's approval."""
    return open_terminal()
