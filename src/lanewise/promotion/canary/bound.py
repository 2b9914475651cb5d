"""What a clean canary proves: an upper bound on the share of bad partitions.

Drawn from an endless supply, ``bad`` of ``n`` bounds the share by Clopper and Pearson (Biometrika 26, 1934): the
largest share under which so few bad ones would still turn up with a probability above ``1 - confidence``. For
``bad = 0`` that is ``1 - (1 - confidence) ** (1 / n)``: 0 of 18 gives 15.3%.

A canary draws without replacement from a known number of partitions, so the same argument with the
hypergeometric distribution is exact and a little sharper: 0 of 18 out of 365 leaves at most 54 bad ones, 14.8%.
The sentence uses it whenever the population is given. Both take the partitions as drawn by lot; the up to five
that are chosen as strata are drawn to be telling instead, which the bound does not know.
"""

from __future__ import annotations

import math
from fractions import Fraction


def detection_bound(clean: int, bad: int = 0, confidence: float = 0.95, *, population: int | None = None) -> float:
    """The largest share (0 to 1) of bad partitions that ``bad`` of ``clean + bad`` leaves possible.

    With ``population``, of so many partitions in all and exact; without, of an endless supply. 1 when nothing
    was looked at. Raises ``ValueError`` for counts below 0, more looked at than there are, or a confidence
    that is not between 0 and 1.
    """
    looked = clean + bad
    if clean < 0 or bad < 0 or not 0 < confidence < 1:
        raise ValueError(f"no bound for {clean} clean, {bad} bad and a confidence of {confidence}")
    if population is not None and population < looked:
        raise ValueError(f"{looked} of {population} partitions can't have been looked at")
    if clean == 0:
        return 1.0
    if population is not None:
        return _most_bad(looked, bad, population, confidence) / population
    if bad == 0:
        return float(1 - (1 - confidence) ** (1 / looked))
    return _clopper_pearson(looked, bad, 1 - confidence)


def bound_sentence(clean: int, bad: int = 0, confidence: float = 0.95, *, population: int | None = None) -> str:
    """``0 bad of 18 partitions: the share of bad ones is below 15% (95% confidence)``; the share is rounded up."""
    looked = clean + bad
    if looked == 0:
        return "no partition was looked at: nothing is known of the share of bad ones"
    noun = "partition" if looked == 1 else "partitions"
    start = f"{bad:,} bad of {looked:,} {noun}"
    if population == looked:
        return f"{start}: they are all there are"
    share = detection_bound(clean, bad, confidence, population=population)
    if share >= 1:
        return f"{start}: all of them may be bad"
    sure = f"{confidence * 100:.6g}% confidence"
    return f"{start}: the share of bad ones is below {_percent_above(share)} ({sure})"


def _percent_above(share: float) -> str:
    """A whole percentage strictly above ``share`` from 10% on, else one to a tenth."""
    if share >= 0.1:
        return f"{math.floor(share * 100) + 1}%"
    return f"{(math.floor(share * 1000) + 1) / 10:g}%"


def _clopper_pearson(looked: int, bad: int, doubt: float) -> float:
    """Bisect for the share at which ``bad`` or fewer of ``looked`` have the probability ``doubt``."""
    low, high = bad / looked, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(bad, looked, middle) > doubt:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(bad: int, looked: int, share: float) -> float:
    if share >= 1:
        return 0.0
    log_in, log_out = math.log(share), math.log1p(-share)
    ways = math.lgamma(looked + 1)
    return math.fsum(
        math.exp(ways - math.lgamma(k + 1) - math.lgamma(looked - k + 1) + k * log_in + (looked - k) * log_out)
        for k in range(bad + 1)
    )


def _most_bad(looked: int, bad: int, population: int, confidence: float) -> int:
    """Bisect for the largest number of bad ones among all that is still likely enough; whole numbers throughout."""
    doubt = Fraction(str(confidence))
    ways = math.comb(population, looked)
    low, high = bad, population - (looked - bad)
    while low < high:
        middle = (low + high + 1) // 2
        seen = sum(math.comb(middle, k) * math.comb(population - middle, looked - k) for k in range(bad + 1))
        if seen > (1 - doubt) * ways:
            low = middle
        else:
            high = middle - 1
    return low
