"""Which config is in force, and how another one takes its place."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from lanewise.config.environments import build_config
from lanewise.config.reading import read_text
from lanewise.domain.environment import Config
from lanewise.domain.event import Draft
from lanewise.domain.project import Project, Source
from lanewise.errors import ApprovalRefused, ConfigError, GroundMoved, NotFound
from lanewise.service.configure import Applied, AwaitingApproval, approve_config, in_force, pinned, propose
from lanewise.service.context import Actor
from lanewise.testing.fake_ledger import FakeLedger

PROJECT = Project("orders", Source(("**",)), "true")
STREAM = "config/orders"

BASE = """\
environments: {dev: {retries: 0}, stage: {retries: 1}, prod: {retries: 3}}
people:
  ada: {emails: [ada@example.org], groups: [leads]}
  bob: {emails: [bob@example.org], groups: [leads, ops]}
  cyd: {emails: [cyd@example.org], groups: [ops]}
  dan: {emails: [ada@example.org], groups: [leads]}
promotion:
  prod: {approvals: {count: 1, from: [leads]}}
"""
PROD = BASE.replace("prod: {retries: 3}", "prod: {retries: 4}")
DEV = BASE.replace("dev: {retries: 0}", "dev: {retries: 9}")


@dataclass
class Told:
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, what: str, done: int, total: int) -> None:
        raise AssertionError("nothing here takes long")


class Shop:
    """As much of a context as configuring needs: a working file, a ledger, somebody who asks."""

    def __init__(self, text: str = BASE) -> None:
        self.ledger = FakeLedger(datetime(2026, 1, 1, tzinfo=UTC))
        self.project, self.progress, self.text = PROJECT, Told(), text
        self.actor = Actor("ada", "os-user")
        self.overrides: dict[str, str] = {}

    @property
    def config(self) -> Config:
        return build_config(read_text(textwrap.dedent(self.text), "environments.yaml"), PROJECT, {})

    def by(self, name: str, text: str | None = None, proved_by: str = "os-user") -> Shop:
        self.actor, self.text = Actor(name, proved_by), self.text if text is None else text
        return self

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.ledger.read(STREAM)]


@pytest.fixture
def shop() -> Shop:
    found = Shop()
    in_force(found)
    return found


def retries(config: Config, name: str = "prod") -> object:
    return config.environment(name).settings["retries"]


def test_the_first_config_ever_is_applied_as_it_is():
    shop = Shop()
    assert pinned(shop) is None
    assert in_force(shop) == shop.config
    (event,) = shop.ledger.read(STREAM)
    assert event.type == "config.applied"
    assert (event.data["digest"], event.data["previous"], event.data["automatic"]) == (shop.config.digest, "", True)
    assert event.data["document"] == shop.config.document
    assert pinned(shop).digest == shop.config.digest


def test_an_unchanged_file_writes_nothing(shop):
    assert in_force(shop).digest == shop.config.digest
    assert shop.types == ["config.applied"]
    assert shop.progress.lines == []


def test_a_change_where_nobody_must_approve_is_applied_as_it_is_used_and_said(shop):
    assert retries(in_force(shop.by("ada", DEV)), "dev") == 9
    assert shop.types == ["config.applied", "config.applied"]
    (line,) = shop.progress.lines
    assert line.startswith("environments.yaml changed: applied ")
    assert "(dev)" in line


def test_a_change_where_somebody_must_approve_keeps_the_pinned_config_and_says_so_once(shop):
    shop.by("ada", PROD)
    assert retries(in_force(shop)) == 3
    assert retries(in_force(shop)) == 3
    assert shop.types == ["config.applied"]
    (line,) = shop.progress.lines
    assert "(prod)" in line
    assert "lane config apply" in line


def test_a_change_of_both_waits_as_a_whole(shop):
    shop.by("ada", PROD.replace("dev: {retries: 0}", "dev: {retries: 9}"))
    assert retries(in_force(shop), "dev") == 0


LOOSER = {
    "fewer approvals": BASE.replace("count: 1", "count: 0"),
    "no rules": BASE[: BASE.index("promotion:")],
    "another group": BASE.replace("from: [leads]", "from: [ops]"),
    "another person": BASE.replace("cyd: {emails: [cyd@example.org], groups: [ops]}", "eve: {groups: [leads]}"),
    "identities that nobody proves": BASE + "identity: declared\n",
    "another ledger": BASE + "ledger: sqlite:///elsewhere.db\n",
    "checkpoints elsewhere": BASE + "checkpoints: /tmp/points\n",
    "somebody else is told": BASE + "telemetry: http://127.0.0.1:4318\n",
    "another order": BASE.replace("{dev: {retries: 0}, stage: {retries: 1},", "{stage: {retries: 1}, dev: {},"),
    "an environment more": BASE.replace("prod: {retries: 3}}", "prod: {retries: 3}, prod2: {}}"),
    "the guarded environment gone": "environments: {dev: {retries: 0}, stage: {retries: 1}}\n"
    + BASE[BASE.index("people:") : BASE.index("promotion:")],
}  # fmt: skip


@pytest.mark.parametrize("name", LOOSER)
def test_editing_a_working_copy_loosens_nothing(shop, name):
    before = pinned(shop).digest
    shop.by("ada", LOOSER[name])
    assert shop.config.digest != before
    assert in_force(shop).digest == before
    assert isinstance(propose(shop), AwaitingApproval)
    assert in_force(shop).digest == before


def test_a_broken_working_file_leaves_the_pinned_config_in_force_and_says_where_it_is_broken(shop):
    assert retries(in_force(shop.by("ada", "environments: ["))) == 3
    assert "environments.yaml:1:" in shop.progress.lines[0]


def test_a_broken_first_file_is_an_error():
    with pytest.raises(ConfigError):
        in_force(Shop("environments: ["))


def test_a_comment_changes_nothing(shop):
    in_force(shop.by("ada", "# hello\n" + BASE))
    assert shop.types == ["config.applied"]


def test_a_proposal_is_applied_by_the_approval_of_somebody_in_the_group(shop):
    asked = propose(shop.by("ada", PROD))
    assert isinstance(asked, AwaitingApproval)
    assert (asked.environments, asked.proposer, asked.needed["prod"].count) == (("prod",), "ada", 1)
    before = shop.config.digest
    done = approve_config(shop.by("bob", BASE), asked.digest)  # bob's own working copy does not matter
    assert done == Applied(before, asked.needed and done.previous, ("prod",), False)
    assert shop.types == ["config.applied", "config.proposed", "config.approved", "config.applied"]
    assert retries(pinned(shop)) == 4
    assert shop.ledger.last(STREAM, "config.applied").data["automatic"] is False


def test_nobody_approves_their_own_proposal(shop):
    asked = propose(shop.by("ada", PROD))
    with pytest.raises(ApprovalRefused, match="their own"):
        approve_config(shop, asked.digest)


def test_one_person_with_two_names_is_one_person(shop):
    asked = propose(shop.by("ada", PROD))
    with pytest.raises(ApprovalRefused, match="their own"):
        approve_config(shop.by("dan"), asked.digest)


def test_somebody_else_proposing_the_same_does_not_free_the_first_proposer(shop):
    asked = propose(shop.by("ada", PROD))
    assert propose(shop.by("bob")).proposer == "ada"
    with pytest.raises(ApprovalRefused):
        approve_config(shop.by("ada"), asked.digest)
    assert shop.types.count("config.proposed") == 1


def test_somebody_outside_the_group_may_not_approve(shop):
    asked = propose(shop.by("ada", PROD))
    for name in ("cyd", "mallory"):
        with pytest.raises(ApprovalRefused, match="not in leads"):
            approve_config(shop.by(name), asked.digest)
    assert "config.approved" not in shop.types


def test_joining_the_group_in_the_working_file_does_not_help(shop):
    asked = propose(shop.by("ada", PROD))
    joined = PROD.replace("cyd: {emails: [cyd@example.org], groups: [ops]}", "cyd: {groups: [leads]}")
    with pytest.raises(ApprovalRefused):
        approve_config(shop.by("cyd", joined), asked.digest)


def test_a_merely_declared_name_approves_nothing_where_proof_is_wanted(shop):
    asked = propose(shop.by("ada", PROD))
    with pytest.raises(ApprovalRefused, match="merely declared"):
        approve_config(shop.by("bob", proved_by="declared"), asked.digest)


def test_as_many_people_must_approve_as_the_pinned_rules_say():
    shop = Shop(
        BASE.replace("count: 1", "count: 2").replace(
            "cyd: {emails: [cyd@example.org], groups: [ops]}", "cyd: {groups: [leads]}"
        )
    )
    in_force(shop)
    asked = propose(shop.by("ada", shop.text.replace("retries: 3", "retries: 4")))
    half = approve_config(shop.by("bob"), asked.digest)
    assert isinstance(half, AwaitingApproval)
    assert half.needed["prod"].count == 1
    with pytest.raises(ApprovalRefused, match="already"):
        approve_config(shop.by("bob"), asked.digest)
    assert isinstance(approve_config(shop.by("cyd"), asked.digest), Applied)


def test_each_environment_s_own_group_must_approve():
    shop = Shop(BASE + "  stage: {approvals: {count: 1, from: [ops]}}\n")
    in_force(shop)
    asked = propose(shop.by("ada", shop.text.replace("retries: 3", "retries: 4").replace("retries: 1", "retries: 2")))
    assert set(asked.needed) == {"stage", "prod"}
    half = approve_config(shop.by("cyd"), asked.digest)
    assert set(half.needed) == {"prod"}
    assert isinstance(approve_config(shop.by("bob"), asked.digest), Applied)


def test_a_proposal_that_another_config_overtook_is_void(shop):
    asked = propose(shop.by("ada", PROD))
    in_force(shop.by("ada", DEV))
    with pytest.raises(GroundMoved):
        approve_config(shop.by("bob"), asked.digest)


def test_a_proposal_expires_and_can_be_made_anew_by_anybody(shop):
    asked = propose(shop.by("ada", PROD))
    shop.ledger.advance(timedelta(days=8))
    with pytest.raises(ApprovalRefused, match="expired"):
        approve_config(shop.by("bob"), asked.digest)
    again = propose(shop.by("bob"))
    assert again.proposer == "bob"
    assert isinstance(approve_config(shop.by("ada"), asked.digest), Applied)


def test_proposing_what_is_in_force_does_nothing(shop):
    done = propose(shop)
    assert (done.digest, done.environments) == (done.previous, ())
    assert shop.types == ["config.applied"]


def test_proposing_what_needs_no_approval_applies_it(shop):
    done = propose(shop.by("ada", DEV))
    assert isinstance(done, Applied)
    assert (done.environments, done.automatic) == (("dev",), False)


def test_a_digest_may_be_shortened_but_not_guessed(shop):
    asked = propose(shop.by("ada", PROD))
    for name in ("", "sha256:", "sha", "0000000"):
        with pytest.raises(NotFound):
            approve_config(shop.by("bob"), name)
    assert isinstance(approve_config(shop.by("bob"), asked.digest.removeprefix("sha256:")[:8]), Applied)


def test_a_config_applied_meanwhile_by_another_process_is_not_overwritten(shop, monkeypatch):
    shop.by("ada", DEV)
    theirs = Shop(BASE.replace("stage: {retries: 1}", "stage: {retries: 7}")).config
    real, raced = shop.ledger.append, []

    def append(stream, drafts, *, actor, expect=None):
        if not raced:  # just before our write, somebody else's lands
            raced.append(True)
            data = {
                "digest": theirs.digest,
                "document": theirs.document,
                "previous": "",
                "automatic": True,
                "environments": [],
            }
            real(stream, [Draft("config.applied", data)], actor="eve")
        return real(stream, drafts, actor=actor, expect=expect)

    monkeypatch.setattr(shop.ledger, "append", append)
    assert retries(in_force(shop), "dev") == 9
    previous = [event.data["previous"] for event in shop.ledger.read(STREAM)]
    assert previous[-1] == theirs.digest
