"""What a published view can't take in place is told once, and refused while somebody stands upon it."""

from __future__ import annotations

import pytest

from lanewise.domain.publication import Break
from lanewise.errors import Refused
from lanewise.promotion.breaks import ANEW, told
from lanewise.promotion.planner import ground_moved, make_plan

from .test_planner import COLUMNS, ground, live, published, table

DROPPED = Break("t", ("n is dropped",))
STOOD_UPON = Break("t", ("n is dropped",), ("reporting.daily", "reporting.weekly"))


def test_a_change_of_which_both_speak_is_told_once_and_what_was_declared_is_kept():
    assert told(["t: column n is dropped, as declared: moved"], DROPPED) == (
        f"t: column n is dropped, as declared: moved; {ANEW}",
    )
    assert told([], DROPPED) == (f"t: n is dropped; {ANEW}",)
    assert told(["t: column n is dropped"], None) == ("t: column n is dropped",)


def test_a_change_that_needs_no_new_view_is_not_said_to_need_one():
    sentences = ["t: column n may be NULL, which readers have not met"]
    assert told(sentences, Break("t", ("m is dropped",))) == (*sentences, f"t: m is dropped; {ANEW}")


def test_a_column_whose_name_begins_like_another_is_another():
    assert len(told(["t: column note is dropped"], Break("t", ("not is dropped",)))) == 2


def test_the_plan_carries_it_and_its_digest_covers_it():
    columns = (COLUMNS[0],)
    bare = make_plan(ground(table("t", columns=columns), live=live(published("t"))))
    plan = make_plan(ground(table("t", columns=columns), live=live(published("t")), breaks={"t": DROPPED}))
    assert plan.tables[0].breaks == DROPPED
    assert plan.tables[0].breaking == (f"t: column n is dropped; {ANEW}",)
    assert bare.tables[0].breaking == ("t: column n is dropped",)
    assert plan.digest != bare.digest
    assert ground_moved(bare, plan)


def test_a_view_that_others_build_upon_is_refused_with_their_names():
    with pytest.raises(Refused) as caught:
        make_plan(ground(table("t"), live=live(published("t")), breaks={"t": STOOD_UPON}))
    assert caught.value.message == ("t: n is dropped, and reporting.daily and reporting.weekly are built upon it")
    assert caught.value.hint == (
        "drop or change reporting.daily and reporting.weekly first; nothing is ever dropped with CASCADE"
    )


def test_a_new_order_of_which_both_speak_is_told_once():
    sentences = ["t: columns change their order, from a, b to b, a"]
    assert told(sentences, Break("t", ("the order of the columns becomes b, a",))) == (f"{sentences[0]}; {ANEW}",)
