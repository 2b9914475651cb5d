"""Which names are another environment's: what a DAG may not be called, and what is not handed out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_WORD = re.compile(r"[^A-Za-z0-9]+")
_LABEL = re.compile(r"(?:env|environment|stage|lane)[:=/](.+)", re.IGNORECASE)


def of_another(name: str, own: str, environments: Collection[str]) -> str:
    """The other environment that a connection's or variable's name has as a word of it (``postgres_stage``); empty
    when it has none, or this environment's own as well."""
    found = _within(name, environments)
    return "" if own.casefold() in found else next(iter(found.values()), "")


def dag_of_another(dag: str, own: str, environments: Collection[str]) -> str:
    """The other environment whose name a DAG's id begins or ends with (``flights_stage``); empty when it does not. A
    word in the middle may mean anything (``load_test_results``)."""
    words = [word for word in _WORD.split(dag) if word]
    ends = {words[0].casefold(), words[-1].casefold()} if len(words) > 1 else set()
    return next((one for one in _others(own, environments) if one.casefold() in ends), "")


def label_of_another(label: str, own: str, environments: Collection[str]) -> str:
    """The other environment that a tag or a parameter's value names: by itself, or as ``env:NAME``; else empty."""
    labelled = _LABEL.fullmatch(label.strip())
    word = (labelled[1] if labelled else label).strip().casefold()
    return next((one for one in _others(own, environments) if one.casefold() == word), "")


def _others(own: str, environments: Collection[str]) -> Iterable[str]:
    return (one for one in environments if one.casefold() != own.casefold())


def _within(name: str, environments: Collection[str]) -> dict[str, str]:
    """The environments whose name is among the words of ``name``, by their folded names. A name of several words
    counts where these stand side by side."""
    words = f" {' '.join(_WORD.split(name.casefold()))} "
    folded = {one.casefold(): one for one in environments}
    return {word: one for word, one in folded.items() if f" {' '.join(_WORD.split(word))} " in words}
