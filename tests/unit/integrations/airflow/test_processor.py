"""What a bundle does to the dag-processor's loop before it moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from lanewise.errors import OutsideBroke
from lanewise.integrations.airflow.processor import DagProcessor


class File(NamedTuple):
    bundle_name: str
    name: str
    bundle_version: str | None = None


@dataclass
class Loop:
    """A dag-processor whose parses end after so many rounds each."""

    rounds: dict[File, int] = field(default_factory=dict)
    _file_queue: dict[File, None] = field(default_factory=dict)
    _file_stats: dict[File, int] = field(default_factory=dict)
    _callback_to_execute: dict[File, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    @property
    def _processors(self) -> dict[File, int]:
        return self.rounds

    def heartbeat(self) -> None:
        self.steps.append("heartbeat")

    def _kill_timed_out_processors(self) -> None:
        self.steps.append("kill")

    def _service_processor_sockets(self, timeout: float) -> None:
        self.steps.append("read")

    def _collect_results(self) -> None:
        self.steps.append("store")
        self.rounds = {file: left - 1 for file, left in self.rounds.items() if left > 1}


OURS, THEIRS, CALLBACK = File("lanewise", "a.py"), File("other", "a.py"), File("lanewise", "a.py", "sha256:old")


def test_every_parse_of_the_bundle_is_let_end_and_stored() -> None:
    loop = Loop(rounds={OURS: 3, THEIRS: 9})
    DagProcessor(loop).drain("lanewise")
    assert (OURS in loop.rounds, THEIRS in loop.rounds) == (False, True)
    assert loop.steps == ["heartbeat", "kill", "read", "store"] * 3


def test_a_callback_of_a_run_is_not_waited_for() -> None:
    loop = Loop(rounds={CALLBACK: 100})
    DagProcessor(loop).drain("lanewise")
    assert loop.steps == []


def test_what_waits_with_the_former_path_is_forgotten_but_callbacks_and_other_bundles_stay() -> None:
    waiting = File("lanewise", "b.py")
    loop = Loop(_file_queue=dict.fromkeys((OURS, THEIRS, CALLBACK, waiting)), _callback_to_execute={waiting: ["late"]},
                _file_stats={OURS: 1, THEIRS: 1})  # fmt: skip
    DagProcessor(loop).forget("lanewise")
    assert list(loop._file_queue) == [THEIRS, CALLBACK, waiting]
    assert list(loop._file_stats) == [THEIRS]


def test_a_dag_processor_of_another_make_is_said_to_be_one() -> None:
    with pytest.raises(OutsideBroke, match="it has no _processors"):
        DagProcessor(object())
