"""What has been live where, and the environment exactly as it was released."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.event import Draft
from lanewise.errors import NotFound
from lanewise.service.releases import (
    append_after,
    as_released,
    config_document,
    environment_of,
    paused,
    quarantined,
    stream_of,
    told_releases,
)

from .lanes import ONE, Lanes

STREAM = "environment/orders/prod"


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders")


def test_nothing_was_released_yet(lanes: Lanes) -> None:
    assert as_released(lanes.ctx(), "prod") is None
    assert lanes.releases() == ()


def test_a_config_that_was_pinned_since_is_not_in_force_before_a_promotion_takes_it_there(lanes: Lanes) -> None:
    v1 = lanes.build("v1")
    lanes.through(v1)
    lanes.environments(ONE.replace("threshold: 1", "threshold: 2"))
    lanes.plan(v1)  # applies the changed file
    live = as_released(lanes.ctx(), "prod")
    assert live is not None
    assert live.settings["threshold"] == 1
    lanes.through(v1)
    now = as_released(lanes.ctx(), "prod")
    assert now is not None
    assert now.settings["threshold"] == 2


def test_the_variables_of_that_moment_are_part_of_a_release(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWISE__THRESHOLD", "5")
    lanes.through(lanes.build("v1"))
    monkeypatch.setenv("LANEWISE__THRESHOLD", "6")
    (release,) = lanes.releases()
    assert environment_of(lanes.ctx(), "prod", release).settings["threshold"] == 5


def test_a_release_is_told_once_with_the_map_before_it(lanes: Lanes) -> None:
    v1, v2 = lanes.build("v1"), lanes.build("v2")
    lanes.through(v1)
    lanes.through(v2)
    lanes.promote(v2)
    assert [(r.build, r.base_map, r.map, r.promotion) for r in lanes.releases()] == [
        (v1, 0, 1, "prod-1"),
        (v2, 1, 2, "prod-2"),
    ]


def test_a_lost_config_is_told_with_what_to_do(lanes: Lanes) -> None:
    with pytest.raises(NotFound) as caught:
        config_document(lanes.ctx(), "sha256:1234", {})
    assert "lane verify" in caught.value.hint


def test_quarantines_and_pauses_follow_from_the_stream(lanes: Lanes) -> None:
    def told(*drafts: Draft) -> tuple[tuple[str, ...], str | None]:
        lanes.ledger.append(STREAM, drafts, actor="ana")
        events = lanes.ledger.read(STREAM)
        return quarantined(events), paused(events)

    assert stream_of(lanes.ctx(), "prod") == STREAM
    assert told(Draft("build.quarantined", {"build": "a"}), Draft("build.quarantined", {"build": "b"})) == (
        ("a", "b"),
        None,
    )
    assert told(Draft("quarantine.lifted", {"build": "a"})) == (("b",), None)
    assert told(Draft("quarantine.lifted", {"build": "x"})) == (("b",), None)
    assert told(Draft("environment.paused", {"reason": ""})) == (("b",), "no reason given")
    assert told(Draft("environment.locked", {"reason": "stuck"})) == (("b",), "stuck")
    assert told(Draft("environment.resumed", {})) == (("b",), None)


def test_what_was_decided_on_an_older_stream_is_not_written(lanes: Lanes) -> None:
    ctx = lanes.ctx()
    assert append_after(ctx, STREAM, (), [Draft("environment.resumed", {})])
    assert not append_after(ctx, STREAM, (), [Draft("environment.resumed", {})])
    assert len(lanes.ledger.read(STREAM)) == 1


def test_a_first_release_that_was_withdrawn_never_was(lanes: Lanes) -> None:
    lanes.through(lanes.build("v1"))
    lanes.ledger.append(STREAM, [Draft("release.withdrawn", {"promotion": "prod-1", "map": 2})], actor="ana")
    assert told_releases(lanes.ledger.read(STREAM)) == ()
    assert as_released(lanes.ctx(), "prod") is None
