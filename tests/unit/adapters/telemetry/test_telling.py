"""Opening who is told: what is missing for it is said, and nothing else comes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.secrets.env import EnvStore
from lanewise.adapters.secrets.resolver import SecretResolver
from lanewise.adapters.telemetry.courier import Parcel, SinkOpener
from lanewise.adapters.telemetry.logs import configure_logs
from lanewise.adapters.telemetry.telling import Means, Telling
from lanewise.domain.environment import Destination, SecretRef
from lanewise.domain.telemetry import Fact, Said

DESTINATION = Destination("otlp", "http://collector:4318", {"Authorization": SecretRef("env:COLLECTOR_TOKEN")})


class Sink:
    """Keeps what it gets, and how it was opened."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.opened: dict[str, Any] = {}

    def open(self, *, url: str, headers: Mapping[str, str], redact: Callable[[str], str], home: str) -> Sink:
        self.opened = {"url": url, "headers": headers, "redact": redact, "home": home}
        return self

    def pack(self, facts: Iterable[Fact]) -> Iterator[Parcel]:
        self.facts += facts
        return iter(())

    def send(self, parcel: Parcel) -> None:
        """Nothing is ever packed."""


def telling(said: list[str], opener: Callable[[str], SinkOpener]) -> Telling:
    means = Means(
        opener, lambda: SecretResolver({"env": lambda: EnvStore(root=Path())}), str, Path("/srv/x"), said.append
    )
    return Telling([DESTINATION], means)


@pytest.fixture
def lanes_log() -> Iterator[logging.Logger]:
    log = logging.getLogger("lanewise")
    before, level = list(log.handlers), log.level
    yield log
    log.handlers, log.level = before, level


def test_a_header_is_resolved_for_the_receiver_and_struck_out_of_what_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLLECTOR_TOKEN", "open-sesame")
    sink, said = Sink(), list[str]()
    found = telling(said, lambda kind: sink.open)
    found.notice(Said(time.time(), "INFO", "x"))
    found.close()
    assert said == []
    assert (sink.opened["url"], sink.opened["headers"]) == ("http://collector:4318", {"Authorization": "open-sesame"})
    assert sink.opened["redact"]("it is open-sesame") == "it is ***"


def test_a_header_that_does_not_resolve_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLLECTOR_TOKEN", raising=False)
    said: list[str] = []
    found = telling(said, lambda kind: Sink().open)
    found.notice(Said(time.time(), "INFO", "x"))
    found.close()
    (line,) = said
    assert "otlp at http://collector:4318 missed 1 record" in line
    assert "COLLECTOR_TOKEN" in line


def test_what_has_to_be_installed_is_said():
    def missing(kind: str) -> SinkOpener:
        raise ModuleNotFoundError("No module named 'google'", name="google")

    said: list[str] = []
    found = telling(said, missing)
    found.notice(Said(time.time(), "INFO", "x"))
    found.close()
    (line,) = said
    assert line.endswith("missed 1 record: it needs google: pip install 'lanewise[telemetry]'")


def test_lanewises_own_lines_are_heard_while_it_lasts_also_when_logs_are_set_up_meanwhile(
    lanes_log: logging.Logger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLLECTOR_TOKEN", "open-sesame")
    lanes_log.handlers = []
    sink = Sink()
    found = telling([], lambda kind: sink.open)
    logging.getLogger("lanewise.run").info("begins", extra={"run": "live-1"})
    configure_logs("text", {})
    logging.getLogger("lanewise.run").warning("is late", extra={"run": "live-1"})
    found.close()
    logging.getLogger("lanewise.run").info("after the end")
    heard = [(fact.level, fact.text, fact.labels) for fact in sink.facts if isinstance(fact, Said)]
    assert heard == [("INFO", "begins", {"run": "live-1"}), ("WARNING", "is late", {"run": "live-1"})]


def test_what_nobody_printed_before_is_not_printed_now_and_warnings_still_are(
    lanes_log: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLLECTOR_TOKEN", "open-sesame")
    lanes_log.handlers, lanes_log.propagate = [], True
    found = telling([], lambda kind: Sink().open)
    logging.getLogger("lanewise.run").info("quiet")
    logging.getLogger("lanewise.run").warning("loud")
    found.close()
    assert capsys.readouterr().err.splitlines() == ["loud"]
