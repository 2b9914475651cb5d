from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.domain.event import Draft
from lanewise.errors import LedgerTampered, LedgerUnavailable
from lanewise.ledger.chain import seal
from lanewise.service.verify import Verified, checkpoint, verify


def complaint(room: Any, **options: Any) -> str:
    with pytest.raises(LedgerTampered) as caught:
        verify(room, **options)
    return caught.value.message


def recompute(room: Any, start: int) -> None:
    """Seal everything from ``start`` on anew, as somebody would who knows how the chain is made."""
    head = (start - 1, next((e.hash for e in room.ledger.events(after=start - 2, limit=1) if e.seq == start - 1), ""))
    statements = []
    for event in room.ledger.events(after=start - 1):
        draft = Draft(event.type, event.data)
        anew = seal(draft, head=head, stream=event.stream, version=event.version, at=event.at, actor=event.actor)
        statements.append(
            f"update events set previous = '{anew.previous}', hash = '{anew.hash}' where seq = {anew.seq}"
        )
        head = (anew.seq, anew.hash)
    room.edit(*statements)


@pytest.fixture
def signed(room):
    """Five events, a checkpoint (event 6 records it), three more, another checkpoint (event 10)."""
    room.write(5)
    checkpoint(room)
    room.write(3)
    checkpoint(room)
    return room


def test_an_empty_ledger_verifies_and_is_not_made(room):
    assert verify(room) == Verified(0, "", checkpoints=0, unsigned=0, key="")
    assert checkpoint(room) is None
    assert not room.home.exists()


def test_a_whole_history_verifies(signed):
    signed.write(2)
    verified = verify(signed)
    assert (verified.events, verified.checkpoints, verified.unsigned) == (12, 2, 2)
    assert verified.head == signed.ledger.head()[1]
    assert verify(signed, key=verified.key) == verified


def test_a_checkpoint_with_nothing_new_is_the_last_one_again(signed):
    before = signed.ledger.head()
    assert checkpoint(signed).statement.seq == 9
    assert signed.ledger.head() == before


def test_the_key_is_its_owners_alone_and_outside_the_ledger(signed):
    file = signed.home / "keys" / "ledger.ed25519"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o022 == 0
    secret = file.read_text().splitlines()[1]
    assert secret not in (signed.home / "ledger.db").read_bytes().decode(errors="replace")


def test_checkpoints_verify_without_the_private_key(signed):
    shutil.rmtree(signed.home / "keys")
    assert verify(signed).checkpoints == 2


def test_an_edited_row_is_named(signed):
    signed.edit("update events set data = '{\"n\":99}' where seq = 3")
    assert "from event 3 on: edited" in complaint(signed)


def test_a_row_edited_into_no_json_is_named(signed):
    signed.edit("update events set data = 'oops' where seq = 3")
    assert "event 3" in complaint(signed)


def test_a_row_given_another_type_of_value_is_named(signed):
    signed.edit("update events set version = 'x', stream = x'00ff' where seq = 3")
    assert "from event 3 on: edited" in complaint(signed)


def test_a_dropped_row_is_named(signed):
    signed.edit("delete from events where seq = 4")
    assert "from event 4 on: missing" in complaint(signed)


def test_a_swapped_pair_is_named(signed):
    signed.edit(
        "update events set seq = -1 where seq = 2", "update events set seq = 2 where seq = 3",
        "update events set seq = 3 where seq = -1",
    )  # fmt: skip
    assert "from event 2 on: reordered" in complaint(signed)


def test_a_dropped_tail_shows_against_the_checkpoint(signed):
    signed.edit("delete from events where seq > 7")
    assert "from event 8 on: cut off" in complaint(signed)


def test_an_emptied_ledger_shows_against_the_checkpoint(signed):
    signed.edit("delete from events")
    assert "from event 1 on: cut off" in complaint(signed)


def test_a_deleted_ledger_shows_against_the_checkpoint(signed):
    for file in signed.home.glob("ledger.db*"):
        file.unlink()
    signed.ledger = open_ledger("sqlite:///ledger.db", base=signed.home)
    assert "from event 1 on: cut off" in complaint(signed)


def test_a_chain_computed_anew_shows_against_the_checkpoint(signed):
    signed.edit("update events set actor = 'eve' where seq = 7")
    recompute(signed, 7)
    message = complaint(signed)
    assert "from event 6 on" in message
    assert "computed anew" in message
    assert "after event 5" in message


def test_a_chain_computed_anew_from_its_first_event_is_another_ledger(signed):
    signed.edit("update events set actor = 'eve' where seq = 1")
    recompute(signed, 1)
    assert "another ledger" in complaint(signed)


def test_the_first_of_two_faults_is_named(signed):
    signed.edit("update events set actor = 'eve' where seq in (3, 8)")
    assert "event 3" in complaint(signed)


def test_the_first_fault_is_named_even_below_a_checkpoint_that_differs(signed):
    signed.edit("update events set actor = 'eve' where seq = 3", "update events set hash = 'sha256:00' where seq = 9")
    assert "from event 3 on: edited" in complaint(signed)


def test_an_edited_hash_of_a_signed_event_is_an_edit(signed):
    signed.edit("update events set hash = 'sha256:00' where seq = 9")
    assert "from event 9 on: edited" in complaint(signed)


@pytest.mark.parametrize("name", ["seq", "hash", "at", "ledger", "signature"])
def test_an_edited_checkpoint_is_named(signed, name):
    file = signed.folder / "000000000005.json"
    fields = json.loads(file.read_text())
    fields[name] = 5 if name == "seq" else "00" * 64
    if name == "seq":
        file = file.rename(file.with_name("000000000007.json"))
        fields["seq"] = 7
    file.write_text(json.dumps(fields))
    assert file.name in complaint(signed)


def test_a_renamed_checkpoint_is_named(signed):
    (signed.folder / "000000000005.json").rename(signed.folder / "000000000004.json")
    assert "000000000004.json" in complaint(signed)


def test_a_checkpoint_of_garbage_is_named(signed):
    (signed.folder / "000000000005.json").write_bytes(b"\xff\x00")
    assert "000000000005.json is not a checkpoint" in complaint(signed)


def test_a_deleted_checkpoint_is_missed(signed):
    (signed.folder / "000000000005.json").unlink()
    assert "event 5 was signed" in complaint(signed)


def test_a_replaced_key_is_told(signed):
    (signed.home / "keys" / "ledger.ed25519").unlink()
    other = type(signed)(signed.root / "other", open_ledger("sqlite:///other.db", base=signed.root))
    other.write(1)
    checkpoint(other)
    shutil.copy(other.home / "keys" / "ledger.ed25519", signed.home / "keys")
    assert "the key was replaced" in complaint(signed)
    with pytest.raises(LedgerTampered, match="the key was replaced"):
        checkpoint(signed)


def test_everything_signed_anew_by_another_key_shows_to_whoever_noted_the_key(signed):
    noted = verify(signed).key
    shutil.rmtree(signed.home / "keys")
    shutil.rmtree(signed.folder)
    signed.edit("delete from events where type = 'checkpoint.signed'")
    signed.edit("delete from events where seq > 5")
    checkpoint(signed)
    assert verify(signed).checkpoints == 1, "nobody who looks at these files alone can tell"
    assert f"not by {noted}" in complaint(signed, key=noted)


def test_a_noted_key_without_any_checkpoint_is_told(room):
    room.write(1)
    assert "no checkpoints" in complaint(room, key="ed25519-00")


def test_a_lost_key_is_not_silently_replaced(signed):
    shutil.rmtree(signed.home / "keys")
    signed.write(1)
    with pytest.raises(LedgerTampered, match="is gone"):
        checkpoint(signed)
    assert not (signed.home / "keys" / "ledger.ed25519").exists()


def test_nothing_is_signed_after_tampering(signed):
    signed.write(2)
    signed.edit("update events set actor = 'eve' where seq = 11")
    with pytest.raises(LedgerTampered, match="event 11"):
        checkpoint(signed)
    signed.edit("delete from events where seq > 8")
    with pytest.raises(LedgerTampered, match="event 9"):
        checkpoint(signed)
    assert len(list(signed.folder.glob("*.json"))) == 2


def test_nothing_is_signed_on_top_of_a_chain_computed_anew(signed):
    signed.edit("update events set actor = 'eve' where seq = 7")
    recompute(signed, 7)
    with pytest.raises(LedgerTampered, match="event 9 is not the one that was signed"):
        checkpoint(signed)


def test_a_checkpoint_whose_record_was_lost_in_a_crash_is_fine(room, monkeypatch):
    room.write(2)
    with monkeypatch.context() as patch:
        patch.setattr(type(room.ledger), "append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            checkpoint(room)
    assert verify(room).checkpoints == 1
    room.write(1)
    assert checkpoint(room).statement.seq == 3
    assert verify(room).checkpoints == 2


def test_a_crash_while_writing_a_checkpoint_leaves_nothing_to_trip_over(signed):
    (signed.folder / ".000000000011.json.4711").write_text('{"half')
    signed.write(1)
    checkpoint(signed)
    assert verify(signed).checkpoints == 3


def test_many_may_sign_at_once(room):
    def work(n: int) -> None:
        room.write(1, f"run/shop/prod/{n}")
        checkpoint(room)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(18)))
    checkpoint(room)
    verified = verify(room)
    assert verified.unsigned == 0
    assert verified.checkpoints >= 1
    assert len(list((room.home / "keys").iterdir())) == 1
    assert [file.suffix for file in room.folder.iterdir() if file.name.startswith(".")] == []


def test_checkpoints_that_can_not_be_written_are_one_clear_error(room):
    room.write(1)
    room.folder.parent.mkdir(exist_ok=True)
    room.folder.write_text("a file where the folder should be")
    with pytest.raises(LedgerUnavailable, match="checkpoints"):
        checkpoint(room)


def test_triggers_refuse_what_the_port_never_asks_for(room):
    room.write(2)
    room.ledger.acquire("shop/prod", "ana", timedelta(hours=1))
    with sqlite3.connect(room.home / "ledger.db") as connection:
        for statement in (
            "update events set actor = 'eve'", "delete from events where seq = 2",
            "insert or replace into events select 1, stream, 9, type, at, actor, data, previous, hash from events",
            "insert into events select 9, stream, 9, type, at, actor, data, previous, hash from events where seq = 1",
            "delete from leases", "update leases set fence = 0", "update leases set scope = 'x'",
        ):  # fmt: skip
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
    connection.close()
    assert verify(room).events == 2
