"""The gate `retained`."""

from lanewise.domain.evidence import Result
from lanewise.domain.gate import Retained
from lanewise.promotion.gates.retained import RetainedGate
from lanewise.testing.gate import FakeLook, GateContract, judged

NEEDED = (Retained("build 3f9a2c71", present=True), Retained("map 4", present=True))


class TestContract(GateContract):
    gate_class = RetainedGate

    def passing_look(self):
        return FakeLook(needed=NEEDED)


def test_one_thing_missing_fails_and_is_named():
    verdict = judged(RetainedGate({}), FakeLook(needed=(*NEEDED, Retained("the config", present=False))))
    assert verdict.result is Result.FAIL
    assert verdict.reason == "a rollback would miss the config"


def test_a_first_release_has_nothing_to_go_back_to_and_says_so():
    verdict = judged(RetainedGate({}), FakeLook(first_release=True))
    assert verdict.passes
    assert "first release" in verdict.reason


def test_an_empty_list_on_any_other_release_leaves_doubt():
    assert judged(RetainedGate({}), FakeLook()).result is Result.INCONCLUSIVE
