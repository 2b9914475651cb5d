"""Which keys differ between the config that is live and the one that would be."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from lanewise.domain.environment import (
    ApprovalRule,
    Connection,
    DataPolicy,
    Environment,
    FreezeWindow,
    GateSpec,
    Rollout,
    Rules,
    SecretRef,
)
from lanewise.promotion.changes import config_changes

CONNECTION = Connection("wh", "postgres", {"host": "prod.db"}, {"password": SecretRef("vault:kv/prod#old")})
OLD = Environment(
    "prod", 2, {"retries": 1, "bucket": "raw", "tags": ["a"]}, {"wh": CONNECTION},
    Rules(gates=(GateSpec("tests"),), rollout=Rollout("canary", (Decimal("0.05"), Decimal(1)))),
)  # fmt: skip


def test_the_same_config_has_no_changes_and_a_first_release_has_none_to_show():
    assert config_changes(OLD, replace(OLD)) == {}
    assert config_changes(None, OLD) == {}


def test_settings_are_shown_with_both_values_and_what_is_new_or_gone():
    new = replace(OLD, settings={"retries": 3, "tags": ["a", "b"], "queue": "fast"})
    assert config_changes(OLD, new) == {
        "settings.bucket": ("raw", "(none)"),
        "settings.queue": ("(none)", "fast"),
        "settings.retries": ("1", "3"),
        "settings.tags": ('["a"]', '["a", "b"]'),
    }


def test_a_secret_is_shown_by_its_reference():
    moved = replace(CONNECTION, fields={"host": "new.db"}, secrets={"password": SecretRef("vault:kv/prod#new")})
    assert config_changes(OLD, replace(OLD, connections={"wh": moved})) == {
        "connections.wh.host": ("prod.db", "new.db"),
        "connections.wh.password": ("vault:kv/prod#old", "vault:kv/prod#new"),
    }


def test_a_loosened_rule_is_a_change_like_any_other():
    rules = replace(OLD.rules, gates=(), approvals=ApprovalRule(2, ("leads",)), rollback_window=timedelta(days=3),
                    freeze=(FreezeWindow("FREQ=DAILY"),))  # fmt: skip
    new = replace(OLD, rules=rules, data=DataPolicy(first="2013-01-01"))
    found = config_changes(OLD, new)
    assert found["rules.gates"] == ('[{"name": "tests", "arguments": {}}]', "[]")
    assert found["rules.approvals.count"] == ("0", "2")
    assert found["rules.rollback_window"] == ("14 days, 0:00:00", "3 days, 0:00:00")
    assert found["data.first"] == ("null", "2013-01-01")
    assert set(found) == {"rules.gates", "rules.approvals.count", "rules.approvals.groups", "rules.rollback_window",
                          "rules.freeze", "data.first"}  # fmt: skip
