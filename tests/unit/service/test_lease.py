from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

import lanewise.service.lease as leases
from lanewise.errors import LeaseHeld
from lanewise.service.lease import held, holder_name, is_dead, same_process
from lanewise.testing.fake_ledger import FakeLedger


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def ctx() -> SimpleNamespace:
    return SimpleNamespace(ledger=FakeLedger(), progress=Said())


def dead_holder() -> str:
    """The name of a process that has just ended."""
    code = "from lanewise.service.lease import holder_name; print(holder_name())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_knows_itself_to_be_alive():
    assert not is_dead(holder_name())


def test_a_process_that_ended_is_dead():
    assert is_dead(dead_holder())


def test_a_number_that_was_given_to_a_later_process_is_not_the_old_one():
    host, pid, started, boot = holder_name().rsplit(":", 3)
    assert is_dead(f"{host}:{pid}:{int(started) - 1}:{boot}")


def test_a_process_of_before_the_machine_was_started_is_dead():
    host, pid, started, boot = holder_name().rsplit(":", 3)
    assert is_dead(f"{host}:{pid}:{started}:00000000/{boot.split('/', 1)[1]}")


@pytest.mark.parametrize("holder", ["", "ana", "a:b", "elsewhere:1:1:boot/1/x", "::::", "host:x:y:z"])
def test_a_holder_that_can_not_be_checked_may_live(holder):
    assert not is_dead(holder)


def test_a_process_in_another_container_may_live():
    host, _, started, boot = holder_name().rsplit(":", 3)
    boot_id, _, nonce = boot.split("/")
    assert not is_dead(f"{host}:999999:{started}:{boot_id}/1/{nonce}")


def test_a_lease_is_held_for_the_block_and_given_back(ctx):
    with held(ctx, "orders/prod") as hold:
        assert ctx.ledger.holder("orders/prod") == hold.lease
    assert ctx.ledger.holder("orders/prod") is None


def test_two_threads_of_one_process_exclude_each_other(ctx):
    with held(ctx, "orders/prod"), pytest.raises(LeaseHeld):
        held(ctx, "orders/prod")


def test_a_second_comer_waits_says_so_once_and_then_gets_it(ctx):
    first = held(ctx, "orders/prod").__enter__()
    threading.Timer(0.6, first.__exit__, (None, None, None)).start()
    with held(ctx, "orders/prod", timedelta(seconds=30)) as hold:
        assert hold.lease.fence == first.lease.fence + 1
    assert len(ctx.progress.lines) == 1
    assert ctx.progress.lines[0].startswith("waiting for orders/prod")


def test_waiting_has_an_end(ctx):
    with held(ctx, "orders/prod"), pytest.raises(LeaseHeld):
        held(ctx, "orders/prod", timedelta(seconds=0.3))


def test_the_dead_are_relieved_at_once(ctx):
    ctx.ledger.acquire("orders/prod", dead_holder(), timedelta(hours=9))
    with held(ctx, "orders/prod") as hold:
        assert hold.lease.fence == 2
    assert ctx.ledger.holder("orders/prod/relief") is None


def test_only_one_of_many_relieves_the_dead(ctx):
    ctx.ledger.acquire("orders/prod", dead_holder(), timedelta(hours=9))
    won, lost = [], []

    def try_it() -> None:
        try:
            won.append(held(ctx, "orders/prod"))
        except LeaseHeld:
            lost.append(1)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)


def test_a_rollback_takes_over_and_the_first_one_notices(ctx, monkeypatch):
    monkeypatch.setattr(leases, "_BEAT", timedelta(seconds=0.02))
    with held(ctx, "orders/prod") as first:
        first.check()
        with held(ctx, "orders/prod", take_over=True) as second:
            assert second.lease.fence > first.lease.fence
            wait_until(lambda: first._lost is not None)
            with pytest.raises(LeaseHeld):
                first.check()
        second.check()


def test_the_heartbeat_keeps_a_lease_alive(ctx, monkeypatch):
    monkeypatch.setattr(leases, "_BEAT", timedelta(seconds=0.02))
    with held(ctx, "orders/prod") as hold:
        first = hold.lease.until
        ctx.ledger.advance(timedelta(seconds=30))
        wait_until(lambda: hold.lease.until > first + timedelta(seconds=20))
        ctx.ledger.advance(timedelta(seconds=45))
        assert ctx.ledger.holder("orders/prod") is not None


def test_the_name_of_this_process_has_four_parts():
    host, pid, started, boot = holder_name().rsplit(":", 3)
    assert (int(pid), ":" in host, int(started) > 0, boot.count("/")) == (os.getpid(), False, True, 2)


ELSEWHERE = "machine-b:77:123:abcd1234/4026531836/c0ffee"


def test_a_holder_that_died_on_another_machine_is_outlived_and_the_wait_is_told(ctx):
    ctx.ledger.acquire("orders/prod", ELSEWHERE, timedelta(seconds=60))
    threading.Timer(0.6, ctx.ledger.advance, (timedelta(seconds=61),)).start()
    with held(ctx, "orders/prod", outlive=True) as hold:
        assert hold.lease.fence == 2
    (line,) = ctx.progress.lines
    assert line.startswith("waiting for orders/prod: machine-b was at work on it")
    assert "its lease runs out at " in line


def test_a_holder_on_another_machine_that_renews_its_lease_lives(ctx):
    lease = ctx.ledger.acquire("orders/prod", ELSEWHERE, timedelta(seconds=60))
    ctx.ledger.advance(timedelta(seconds=1))
    threading.Timer(0.5, ctx.ledger.renew, (lease, timedelta(seconds=60))).start()
    started = time.monotonic()
    with pytest.raises(LeaseHeld, match="machine-b"):
        held(ctx, "orders/prod", outlive=True)
    assert 0.4 < time.monotonic() - started < 20


def test_somebody_who_comes_between_is_not_outlived(ctx):
    lease = ctx.ledger.acquire("orders/prod", ELSEWHERE, timedelta(seconds=60))

    def hand_over() -> None:
        ctx.ledger.release(lease)
        ctx.ledger.acquire("orders/prod", ELSEWHERE.replace("-b", "-c"), timedelta(seconds=60))

    threading.Timer(0.5, hand_over).start()
    try:
        held(ctx, "orders/prod", outlive=True)
    except LeaseHeld as busy:
        assert "machine-c" in busy.holder  # noqa: PT017 - or else the lease was ours between the two


def test_a_holder_on_this_machine_is_not_waited_for(ctx):
    with held(ctx, "orders/prod"), pytest.raises(LeaseHeld):
        held(ctx, "orders/prod", outlive=True)


def test_without_being_asked_nobody_waits_for_another_machine(ctx):
    ctx.ledger.acquire("orders/prod", ELSEWHERE, timedelta(seconds=60))
    with pytest.raises(LeaseHeld):
        held(ctx, "orders/prod")


def test_two_leases_of_one_process_are_known_to_be_its():
    assert same_process(holder_name(), holder_name())
    assert not same_process(holder_name(), ELSEWHERE)
    assert not same_process("", "")


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
