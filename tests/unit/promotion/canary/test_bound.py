"""What a clean canary proves."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.promotion.canary.bound import bound_sentence, detection_bound


def test_0_bad_of_18_bounds_the_share_by_the_closed_form():
    assert detection_bound(18) == pytest.approx(1 - 0.05 ** (1 / 18))
    assert detection_bound(18) == pytest.approx(0.1533, abs=1e-4)


def test_out_of_365_it_is_exact_and_a_little_sharper():
    assert detection_bound(18, population=365) == 54 / 365
    # 54 bad ones stay unseen with more than 5%, 55 with less
    assert math.comb(365 - 54, 18) / math.comb(365, 18) > 0.05 >= math.comb(365 - 55, 18) / math.comb(365, 18)


@pytest.mark.parametrize(
    ("bad", "looked", "upper"), [(1, 10, 0.3942), (2, 20, 0.2826), (5, 100, 0.1023), (9, 10, 0.9949)]
)
def test_with_bad_ones_it_is_clopper_and_pearsons(bad, looked, upper):
    # one-sided 95% limits: BETA.INV(0.95, bad + 1, looked - bad)
    assert detection_bound(looked - bad, bad) == pytest.approx(upper, abs=1e-4)


@given(st.integers(1, 60), st.integers(0, 20))
def test_more_clean_ones_sharpen_it_and_more_bad_ones_blunt_it(clean, bad):
    assert detection_bound(clean + 1, bad) <= detection_bound(clean, bad) + 1e-12
    assert detection_bound(clean, bad + 1) >= detection_bound(clean, bad) - 1e-12


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 300))
def test_knowing_the_population_blunts_it_by_one_partition_at_most_and_never_denies_what_was_seen(clean, bad, rest):
    population = clean + bad + rest
    share = detection_bound(clean, bad, population=population)
    assert bad / population <= share <= detection_bound(clean, bad) + 1 / population  # it counts whole partitions


def test_an_endless_population_is_the_limit_of_large_ones():
    assert detection_bound(18, population=10**6) == pytest.approx(detection_bound(18), abs=1e-4)


def test_with_everything_seen_nothing_is_left_to_bound():
    assert detection_bound(7, 3, population=10) == 0.3
    assert bound_sentence(7, 3, population=10) == "3 bad of 10 partitions: they are all there are"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((18, 0, 0.95, 365), "0 bad of 18 partitions: the share of bad ones is below 15% (95% confidence)"),
        ((18, 0, 0.95, None), "0 bad of 18 partitions: the share of bad ones is below 16% (95% confidence)"),
        ((91, 0, 0.95, None), "0 bad of 91 partitions: the share of bad ones is below 3.3% (95% confidence)"),
        ((18, 0, 0.999, None), "0 bad of 18 partitions: the share of bad ones is below 32% (99.9% confidence)"),
        ((0, 1, 0.95, None), "1 bad of 1 partition: all of them may be bad"),
        ((0, 0, 0.95, 365), "no partition was looked at: nothing is known of the share of bad ones"),
    ],
)
def test_the_sentence_rounds_up(arguments, sentence):
    *plain, population = arguments
    assert bound_sentence(*plain, population=population) == sentence


@pytest.mark.parametrize(
    ("clean", "bad", "confidence", "population"), [(-1, 0, 0.95, None), (5, 0, 1, None), (5, 0, 0.95, 4)]
)
def test_figures_that_make_no_sense_are_refused(clean, bad, confidence, population):
    with pytest.raises(ValueError, match=r"bound|looked at"):
        detection_bound(clean, bad, confidence, population=population)
