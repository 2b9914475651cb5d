"""Runs that an orchestrator's own clock has started: begun, written to by its tasks, published or given up."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from tests.e2e import road

from lanewise.bootstrap import open_context
from lanewise.errors import GroundMoved, LeaseHeld, NotFound, OutsideBroke, Refused, RunFailed, WrongInput
from lanewise.runtime.sign import read_sign, verify
from lanewise.service import scheduled
from lanewise.service.live import run_live
from lanewise.service.rollback import roll_back

DAY = "2013-01-09"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project whose build ``a`` is live in prod."""
    root = road.write_project(tmp_path / "shop")
    road.into_prod(root, road.build(root, "a"))
    return root


def live(root: Path) -> str:
    return open_context(root).warehouse(open_context(root).config.environment("prod")).pointer().build


def begin(root: Path, run: str = "live-af-1", day: str = DAY, build: str = "") -> scheduled.Room:
    return scheduled.begin(open_context(root), "prod", run, build or live(root), [day])


def write(room: scheduled.Room, name: str = "a", day: str = DAY) -> None:
    Path(room.outputs, "orders_daily.csv").write_text(f"day,id,build\n{day},1,{name}\n{day},2,{name}\n{day},3,{name}\n")
    Path(room.outputs, "totals_daily.csv").write_text(f"day,orders,build\n{day},3,{name}\n")


def publish(root: Path, run: str = "live-af-1"):
    return scheduled.publish(open_context(root), "prod", run)


class Killed(BaseException):
    """Stands for ``kill -9``: nothing is done any more."""


def told(root: Path) -> list[str]:
    return [e.type for e in open_context(root).ledger.events() if e.stream.startswith("run/orders/prod/live-af")]


def test_what_its_tasks_write_is_seen_once_it_is_published_and_not_before(shop):
    room = begin(shop)
    document = json.loads(room.compiled.read_text())
    assert (document["run"]["purpose"], document["run"]["partitions"]) == ("scheduled", [DAY])
    write(room)
    assert DAY not in road.seen(shop)
    done = publish(shop)
    assert road.seen(shop)[DAY] == "a"
    assert done.run.rows == {"orders_daily": 3, "totals_daily": 1}
    assert told(shop) == ["run.intended", "run.ended", "run.audited", "run.published"]
    assert not room.compiled.exists()


def test_asked_again_each_call_is_the_same_answer(shop):
    room = begin(shop)
    assert begin(shop) == room
    write(room)
    first = publish(shop)
    assert publish(shop).map == first.map
    assert told(shop).count("run.published") == 1


@pytest.fixture(params=["publish_slices", "_close"])
def died(request, shop, monkeypatch) -> int:
    """The map that a process brought readers which died right after this step of its publication."""
    step = getattr(scheduled, request.param)

    def killed(*given):
        step(*given)
        raise Killed

    write(begin(shop))
    with monkeypatch.context() as dying:
        for after in ("tell_failure", "_close"):
            dying.setattr(scheduled, after, lambda *_, **__: None)
        dying.setattr(scheduled, request.param, killed)
        with pytest.raises(Killed):
            publish(shop)
    return open_context(shop).warehouse(open_context(shop).config.environment("prod")).pointer().number


def test_who_dies_once_readers_see_it_has_published_it_and_does_so_once(shop, died):
    assert publish(shop).map == publish(shop).map == died
    assert road.seen(shop)[DAY] == "a"
    assert told(shop) == ["run.intended", "run.ended", "run.audited", "run.published"]


def test_what_readers_see_already_can_not_be_given_up_any_more(shop, died):
    assert not scheduled.abandon(open_context(shop), "prod", "live-af-1", "a task failed")
    assert publish(shop).map == died


def test_a_run_that_was_published_and_is_begun_again_is_another_attempt(shop):
    write(begin(shop))
    publish(shop)
    again = begin(shop)
    assert again.run == "live-af-1~2"
    assert json.loads(again.compiled.read_text())["run"]["purpose"] == "rerun"
    write(again)
    assert publish(shop).run.request.id == "live-af-1~2"


def test_begun_again_after_something_was_written_there_it_gets_a_fresh_room(shop):
    room = begin(shop)
    blocks = Path(room.outputs).parent / "blocks"
    blocks.mkdir(exist_ok=True)
    (blocks / "7-0.done").write_text("{}")
    again = begin(shop)
    assert again.run == "live-af-1~2"
    assert not blocks.exists()
    write(again)
    publish(shop)
    assert told(shop).count("run.failed") == 1


def test_a_build_that_is_not_live_any_more_begins_nothing(shop):
    old = live(shop)
    road.into_prod(shop, road.build(shop, "b"))
    with pytest.raises(Refused, match="runs build"):
        begin(shop, build=old)
    assert told(shop) == []


def test_what_was_begun_before_another_release_went_live_is_not_published(shop):
    write(begin(shop))
    road.into_prod(shop, road.build(shop, "b"))
    with pytest.raises((GroundMoved, Refused)):
        publish(shop)
    assert road.seen(shop).get(DAY) in {None, "b"}
    assert told(shop)[-1] == "run.failed"


def test_rows_that_do_not_pass_are_not_published(shop):
    room = begin(shop)
    write(room)
    Path(room.outputs, "totals_daily.csv").write_text(f"day,orders,build\n{DAY},3,a\n{DAY},3,a\n")
    with pytest.raises(RunFailed, match="audit"):
        publish(shop)
    assert DAY not in road.seen(shop)
    with pytest.raises(Refused, match="came to nothing"):
        publish(shop)
    assert begin(shop).run == "live-af-1~2"


def test_a_table_that_no_task_wrote_is_not_published(shop):
    room = begin(shop)
    Path(room.outputs, "orders_daily.csv").write_text(f"day,id,build\n{DAY},1,a\n")
    with pytest.raises(RunFailed, match="totals_daily"):
        publish(shop)
    assert DAY not in road.seen(shop)


def test_what_is_given_up_is_thrown_away_and_told(shop):
    room = begin(shop)
    write(room)
    assert scheduled.abandon(open_context(shop), "prod", "live-af-1", "task load failed")
    assert not scheduled.abandon(open_context(shop), "prod", "live-af-1", "twice")
    assert told(shop) == ["run.intended", "run.failed"]
    assert not Path(room.outputs).exists()
    with pytest.raises(Refused, match="task load failed"):
        publish(shop)


def test_two_runs_never_work_on_one_day(shop):
    begin(shop)
    with pytest.raises(Refused, match="live-af-1"):
        begin(shop, run="live-af-2")
    with pytest.raises(LeaseHeld):
        run_live(open_context(shop), "prod", [DAY], wait=timedelta(0))
    begin(shop, run="live-af-2", day="2013-01-10")


def test_a_run_that_never_comes_back_is_given_up_when_its_time_is_over(shop):
    (shop / "environments.yaml").write_text(road.ENVIRONMENTS.replace("prod: {data", "prod: {timeout: 1s, data"))
    road.into_prod(shop, live(shop))
    begin(shop)
    threading.Event().wait(1.2)
    again = begin(shop, run="live-af-2")
    write(again)
    publish(shop, "live-af-2")
    assert road.seen(shop)[DAY] == "a"
    with pytest.raises(Refused, match="thrown away"):
        publish(shop)


def test_a_rollback_between_begin_and_publish_shows_none_of_it(shop):
    road.into_prod(shop, road.build(shop, "b"))
    room = begin(shop)
    write(room, "b")
    roll_back(open_context(shop), "prod")
    with pytest.raises(Refused):
        publish(shop)
    assert DAY not in road.seen(shop)
    assert set(road.seen(shop).values()) == {"a"}


@pytest.mark.parametrize("name", ["", "af-1", "live-", "live-a/b", "live-../x", "live-a b", "live-" + "x" * 200])
def test_a_name_that_is_none_is_refused(shop, name):
    with pytest.raises(WrongInput):
        begin(shop, run=name)


def test_a_run_that_was_never_begun_is_not_published(shop):
    with pytest.raises(NotFound, match="live-af-9"):
        publish(shop, "live-af-9")


def test_the_sign_follows_readers_to_and_fro(shop):
    a = live(shop)
    assert read_sign(str(shop), "prod").live["build"] == a
    road.into_prod(shop, road.build(shop, "b"))
    assert read_sign(str(shop), "prod").live["build"] == live(shop) != a
    roll_back(open_context(shop), "prod")
    sign = read_sign(str(shop), "prod")
    assert sign.live["build"] == a
    assert sign.candidates == []
    assert verify(sign.home, a) == sign.code(a)


def test_the_same_on_postgres(tmp_path, postgres15):
    root = road.write_project(tmp_path / "shop", road.on_postgres(postgres15))
    road.into_prod(root, road.build(root, "a"))
    room = begin(root, run="live-af-" + "x" * 100)
    write(room)
    publish(root, "live-af-" + "x" * 100)
    assert road.seen(root)[DAY] == "a"


def test_a_sign_stands_while_the_ledger_is_away(shop):
    a = live(shop)
    ledger = shop / ".lanewise" / "ledger.db"
    ledger.rename(shop / "elsewhere")
    ledger.mkdir()
    with pytest.raises(OutsideBroke):
        begin(shop, build=a)
    assert read_sign(str(shop), "prod").live["build"] == a
    ledger.rmdir()
    (shop / "elsewhere").rename(ledger)
    write(begin(shop))
    publish(shop)
    assert road.seen(shop)[DAY] == "a"


def test_two_who_publish_one_run_at_once_tell_of_it_once_and_never_that_it_failed(shop):
    write(begin(shop))
    answers, errors = [], []

    def ask() -> None:
        try:
            answers.append(publish(shop).map)
        except LeaseHeld as error:  # the other one has taken it over
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert road.seen(shop)[DAY] == "a"
    assert len(set(answers)) == 1
    assert told(shop).count("run.published") == 1
    assert "run.failed" not in told(shop)
