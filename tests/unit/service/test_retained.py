"""What a rollback needs is looked up before a promotion: the build's bytes, the config's document, every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.evidence import Moment
from lanewise.domain.promotion import State
from lanewise.service.candidate import open_candidate
from lanewise.service.look import Eyes

from .lanes import DAYS, ONE, Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    """v1 is live; v2 is to come."""
    found = Lanes(tmp_path / "orders", ONE)
    found.through(found.build("v1"))
    return found


def missing(lanes: Lanes) -> list[str]:
    ctx, build = lanes.ctx(), lanes.build("v2")
    target = ctx.config.environment("prod")
    eyes = Eyes(ctx, open_candidate(ctx, build), lanes.plan(build), target, None, ctx.warehouse(target), Moment.BEFORE)
    return [one.what for one in eyes.retained() if not one.present]


def files_of(lanes: Lanes) -> list[Path]:
    slices = lanes.live().tables["orders_daily"].slices
    return [lanes.root / ".lanewise" / "warehouse" / slices[day][0].location for day in DAYS]


def test_when_all_is_there_nothing_is_missed(lanes: Lanes) -> None:
    assert missing(lanes) == []


@pytest.mark.parametrize("lose", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-1])])
def test_a_lost_or_shortened_file_is_named_and_stops_the_promotion(lanes: Lanes, lose) -> None:
    file = files_of(lanes)[0]
    lose(file)
    assert missing(lanes) == [f"{file.relative_to(lanes.root / '.lanewise' / 'warehouse')} of map 1"]
    done = lanes.promote(lanes.build("v2"))
    assert done.state is not State.SUCCEEDED
    assert "a rollback would miss" in " ".join(v.reason for v in done.verdicts)


def test_of_many_lost_files_a_few_are_named_and_the_rest_counted(lanes: Lanes) -> None:
    for file in files_of(lanes):
        file.unlink()
    assert [name.partition("/")[0] for name in missing(lanes)] == ["prod"] * 3 + ["1 more of map 1"]


@pytest.mark.parametrize("name", ["files.pack", "manifest.json"])
def test_a_base_build_whose_bytes_are_gone_is_missed(lanes: Lanes, name: str) -> None:
    base = lanes.live().build
    file = lanes.root / ".lanewise" / "builds" / base[7:] / name
    file.write_bytes(file.read_bytes()[:-1])
    assert missing(lanes) == [f"build {base[7:15]}"]


def test_a_config_document_that_is_gone_is_missed(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = lanes.plan(lanes.build("v2"))
    monkeypatch.setattr(lanes, "plan", lambda build: plan)
    read = lanes.ledger.read
    monkeypatch.setattr(
        lanes.ledger, "read", lambda stream, **more: () if stream == "config/orders" else read(stream, **more)
    )
    assert missing(lanes) == ["the config of its release"]
