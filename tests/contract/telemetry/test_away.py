"""Whoever is told may be away, slow, hanging or unwilling: a command ends as ever, and says one word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.e2e import road

from lanewise.adapters.telemetry.courier import LAST_WAIT, Courier, Couriers, Parcel
from lanewise.adapters.telemetry.post import Away, Rejected, post
from lanewise.domain.telemetry import Fact, Said

from .conftest import TOKEN, project
from .receiver import receiver

FACT = Said(0.0, "INFO", "something", {})


class Sink:
    """Packs each fact as a parcel, and answers as told."""

    def __init__(self, *answers: Exception | float) -> None:
        self.answers, self.sent = list(answers), 0

    def pack(self, facts: Iterable[Fact]) -> Iterator[Parcel]:
        for _ in facts:
            yield Parcel("/x", b"", 1)

    def send(self, parcel: Parcel) -> None:
        answer = self.answers.pop(0) if self.answers else 0.0
        if isinstance(answer, Exception):
            raise answer
        time.sleep(answer)
        self.sent += 1


def told(sink: Sink, facts: int = 3) -> tuple[list[str], float]:
    """What is said at the end, and how long the end took."""
    said: list[str] = []
    courier = Courier("a receiver", lambda: sink, said.append)
    for _ in range(facts):
        courier.notice(FACT)
    began = time.monotonic()
    Couriers([courier]).close()
    return said, time.monotonic() - began


def test_what_arrives_is_no_word_worth():
    sink = Sink()
    assert told(sink)[0] == []
    assert sink.sent == 3


def test_what_nobody_takes_is_counted_and_told_in_one_line():
    said, seconds = told(Sink(*[Away("Connection refused")] * 9))
    assert said == ["telemetry: a receiver missed 3 records: Connection refused"]
    assert seconds < LAST_WAIT


def test_what_is_refused_is_not_sent_again():
    sink = Sink(Rejected("it answers with status 400"))
    assert told(sink)[0] == ["telemetry: a receiver missed 1 record: it answers with status 400"]
    assert sink.sent == 2


def test_whoever_hangs_is_waited_for_two_seconds_and_no_more():
    said, seconds = told(Sink(30.0))
    assert said == ["telemetry: a receiver did not take everything within 2 s; the rest is lost"]
    assert LAST_WAIT <= seconds < LAST_WAIT + 3  # a busy machine's noise


def test_a_sink_that_breaks_breaks_nothing_else():
    said, _ = told(Sink(ZeroDivisionError("no")))
    assert said[0].startswith("telemetry: a receiver missed")


def test_who_comes_back_gets_all_of_it():
    sink, said = Sink(Away("Connection refused")), []
    courier = Courier("a receiver", lambda: sink, said.append)
    courier.notice(FACT)
    deadline = time.monotonic() + 20
    while sink.sent < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    courier.close()
    assert (sink.sent, said) == (1, [])


@pytest.mark.parametrize("status", [503, 429])
def test_a_receiver_that_is_busy_is_asked_again(status: int):
    with receiver() as busy:
        busy.status = status
        with pytest.raises(Away, match=f"status {status}"):
            post(f"{busy.url}/v1/traces", b"", {})


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_a_receiver_that_refuses_or_sends_elsewhere_is_not(status: int):
    with receiver() as unwilling:
        unwilling.status = status
        with pytest.raises(Rejected, match=f"status {status}"):
            post(f"{unwilling.url}/v1/traces", b"", {"Authorization": TOKEN})


def test_a_promotion_beside_a_dead_and_a_hanging_receiver_is_a_promotion(tmp_path: Path):
    """The measure is the same command with nobody to tell: it may take two seconds more, and a busy machine's noise."""
    os.environ |= {"RAW_PASSWORD": "unimportant", "COLLECTOR_TOKEN": TOKEN}
    with socket.socket() as free, receiver(hanging=True) as hanging:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
        root = project(tmp_path / "orders", dead)
        file = root / "environments.yaml"
        file.write_text(file.read_text().replace(f"openlineage: '{dead}'", f"openlineage: '{hanging.url}'"))
        build = road.build(root, "first")
        began = time.monotonic()
        typed = road.lane(root, "promote", build[7:15], "--to", "prod")
        took = time.monotonic() - began
        assert road.lane(root, "approve", "prod-1", actor="ben").code == 0
        done = road.lane(root, "promote", build[7:15], "--to", "prod")
    words = [line.strip() for line in (typed.err + done.err).splitlines() if "telemetry" in line]
    assert done.code == 0
    assert road.seen(root) == dict.fromkeys(road.DAYS, "first")
    assert took < 60
    assert any(f"otlp at {dead} missed" in word and "Connection refused" in word for word in words), words
    assert any(f"openlineage at {hanging.url} did not take everything within 2 s" in word for word in words), words
    assert len(words) <= 4, words  # two commands told two receivers, each in one line
    assert TOKEN not in typed.err + done.err


def test_nothing_of_it_is_loaded_where_nobody_is_told(tmp_path: Path):
    root = road.write_project(tmp_path / "orders")
    build = road.build(root, "first")
    code = (
        "import sys\nfrom lanewise.cli.app import main\n"
        f"try:\n    main(['promote', '{build[7:15]}', '--to', 'prod'])\nexcept SystemExit: pass\n"
        "heavy = ('opentelemetry', 'google.protobuf', 'lanewise.adapters.telemetry.telling', 'urllib.request')\n"
        "print('loaded:', *sorted(set(heavy) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert done.stdout.splitlines()[-1].strip() == "loaded:", done
    assert road.seen(root) == dict.fromkeys(road.DAYS, "first")
