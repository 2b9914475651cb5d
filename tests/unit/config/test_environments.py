"""environments.yaml: merged, typed, filled in."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from lanewise.config.load import from_document, load_config, load_project
from lanewise.domain.environment import ApprovalRule, Connection, Destination, GateSpec, Origin, SecretRef
from lanewise.errors import ConfigError, NotFound

from .files import DESIGN, LANEWISE, PROJECT, config


def test_the_design_s_file_says_what_the_design_says():
    found = config(DESIGN)
    assert list(found.environments) == ["dev", "stage", "prod"]
    prod = found.environment("prod")
    assert prod.settings == {
        "src_conn": "postgres_prod", "dst_conn": "warehouse_prod", "bucket": "raw-data-prod", "schema": "analytics",
        "table_suffix": "", "service_account": "sa-etl-prod", "retries": 3, "sla": "30m",
    }  # fmt: skip
    assert prod.connection("src") == Connection(
        "postgres_prod", "postgres", {"host": "prod.db", "user": "svc_prod"},
        {"password": SecretRef("vault:secret/data/prod/postgres#password")},
    )  # fmt: skip
    assert prod.rules.gates == (GateSpec("tests"), GateSpec("quality"), GateSpec("soak", {"runs": 1}))
    assert prod.rules.approvals == ApprovalRule(1, ("data-leads",))
    assert prod.rules.rollout.strategy == "canary"
    assert prod.rules.rollout.steps == (Decimal("0.05"), Decimal("0.25"), Decimal(1))
    assert prod.rules.freeze[0].rrule == "FREQ=WEEKLY;BYDAY=FR,SA,SU"
    stage = found.environment("stage")
    assert (stage.data.refresh_from, stage.data.masked, stage.data.sample) == ("prod", True, Decimal("0.1"))
    assert stage.settings["retries"] == 0


@pytest.mark.parametrize(("section", "told"), [
    ("", ()),
    ("telemetry: http://127.0.0.1:4318", (Destination("otlp", "http://127.0.0.1:4318"),)),
    ("telemetry: {openlineage: 'https://marquez.example.org'}",
     (Destination("openlineage", "https://marquez.example.org"),)),
    ("telemetry: {otlp: {url: 'https://c.example.org/in', headers: {Authorization: 'env:OTLP'}}}",
     (Destination("otlp", "https://c.example.org/in", {"Authorization": SecretRef("env:OTLP")}),)),
])  # fmt: skip
def test_nobody_is_told_unless_the_file_says_who(section, told):
    assert config(f"environments: {{prod: {{}}}}\n{section}\n").telemetry == told


@pytest.mark.parametrize("names", [["only"], ["dev", "prod"], ["a", "b", "c", "d", "e", "f", "g"]])
def test_a_file_of_names_alone_is_a_whole_config(names):
    found = config("environments: {" + ", ".join(f"{name}: " for name in names) + "}")
    assert list(found.environments) == names
    assert [one.position for one in found.environments.values()] == list(range(len(names)))
    for name in names:
        lane = found.environment(name)
        assert lane.connection("dst") == Connection(f"warehouse_{name}", "duckdb")
        assert lane.origins["settings.retries"] == Origin("built in")
        with pytest.raises(NotFound):
            lane.connection("src")
    assert found.before(names[0]) is None
    assert found.after(names[-1]) is None


def test_every_value_knows_where_it_came_from():
    prod = config(DESIGN, {"LANEWISE__PROD__BUCKET": "b"}).environment("prod")
    assert prod.origins["settings.src_conn"] == Origin("defaults", "environments.yaml", 2, 13)
    assert prod.origins["settings.retries"] == Origin("environments.prod", "environments.yaml", 12, 57)
    assert prod.origins["settings.bucket"] == Origin("LANEWISE__PROD__BUCKET")
    assert prod.origins["settings.sla"].layer == "environments.prod"
    assert prod.origins["connections.postgres_prod.host"] == Origin("connections", "environments.yaml", 16, 11)
    assert prod.origins["rules.approvals.count"] == Origin("promotion.prod", "environments.yaml", 24, 24)


def test_merging_is_deep_and_goes_defaults_extends_environment_variables():
    text = """\
    defaults: {spark: {memory: 1g, cores: 1, tags: {a: 1, b: 1}}, level: 0}
    environments:
      base: {spark: {cores: 2, tags: {b: 2}}, level: 1}
      mid:  {extends: base, spark: {memory: 2g}, level: 2}
      top:  {extends: mid, spark: {tags: {a: 3}}}
    """
    top = config(text, {"LANEWISE__SPARK__CORES": "9"}).environment("top")
    assert top.settings["spark"] == {"memory": "2g", "cores": 9, "tags": {"a": 3, "b": 2}}
    assert top.settings["level"] == 2  # the nearer parent's
    assert top.origins["settings.spark.memory"].layer == "extends mid"
    assert top.origins["settings.spark.tags.b"].layer == "extends base"
    assert top.origins["settings.spark.tags.a"].layer == "environments.top"


def test_an_environment_may_extend_one_that_comes_later():
    found = config("{defaults: {x: 1}, environments: {a: {extends: b}, b: {x: 2}}}")
    assert found.environment("a").settings["x"] == 2


def test_lists_are_replaced_and_mappings_are_kept_by_an_empty_one():
    found = config("{defaults: {l: [1, 2], m: {a: 1}}, environments: {x: {l: [], m: {}}}}").environment("x")
    assert found.settings["l"] == []
    assert found.settings["m"] == {"a": 1}


def test_an_empty_default_mapping_takes_any_keys():
    found = config("{defaults: {conf: {}}, environments: {a: {conf: {spark.memory: 1g}}, b: {}}}")
    assert found.environment("a").settings["conf"] == {"spark.memory": "1g"}
    assert found.environment("b").settings["conf"] == {}


def test_a_key_without_a_default_is_fine_when_every_environment_has_it():
    found = config("environments: {a: {quota: 1}, b: {quota: 2}}")
    assert [lane.settings["quota"] for lane in found.environments.values()] == [1, 2]


def test_braces_are_written_double():
    found = config("{defaults: {x: '{{env}} {env} }}{{'}, environments: {a: {}}}").environment("a")
    assert found.settings["x"] == "{env} a }{"


def test_templates_are_filled_in_everywhere_in_a_value():
    found = config("{defaults: {x: {y: ['{env}', {z: 'a{env}'}]}}, environments: {p: {}}}").environment("p")
    assert found.settings["x"] == {"y": ["p", {"z": "ap"}]}


def test_an_environment_sees_only_the_connections_that_its_settings_name():
    text = """\
    defaults: {src_conn: "db_{env}", queue_conn: "queue"}
    environments: {dev: {}, prod: {}}
    connections:
      db_dev: {type: postgres}
      db_prod: {type: postgres, host: h}
      queue: {type: kafka}
      spare: {type: postgres}
    """
    found = config(text)
    assert set(found.environment("dev").connections) == {"db_dev", "queue", "warehouse_dev"}
    assert set(found.environment("prod").connections) == {"db_prod", "queue", "warehouse_prod"}


@pytest.mark.parametrize("plain_first", [True, False])
def test_a_plain_connection_name_goes_before_a_template(plain_first):
    written = ["  db_prod: {type: postgres, host: special}\n", '  "db_{env}": {type: postgres, host: "{env}"}\n']
    head = 'defaults: {src_conn: "db_{env}"}\nenvironments: {dev: {}, prod: {}}\nconnections:\n'
    found = config(head + "".join(written if plain_first else reversed(written)))
    assert found.environment("prod").connection("src").fields == {"host": "special"}
    assert found.environment("dev").connection("src").fields == {"host": "dev"}


def test_without_a_connections_section_names_are_left_to_the_orchestrator():
    lane = config("environments: {dev: {src_conn: airflow_db, dst_conn: dwh}}").environment("dev")
    assert set(lane.connections) == {"dwh"}
    assert lane.connection("dst").type == "duckdb"


def test_the_long_form_of_a_secret_has_its_previous_version_and_age():
    text = """\
    environments: {dev: {src_conn: db}}
    connections:
      db:
        type: postgres
        host: env:DB_HOST
        password: {secret: "vault:kv/{env}/db#pw", previous: "vault:kv/{env}/old#pw", max_age: 90d}
    """
    lane = config(text).environment("dev")
    assert lane.connection("src").secrets == {
        "host": SecretRef("env:DB_HOST"),
        "password": SecretRef("vault:kv/dev/db#pw", "vault:kv/dev/old#pw", timedelta(days=90)),
    }
    assert lane.digest.startswith("sha256:")


def test_a_file_uri_is_no_secret_reference():
    text = (
        "{environments: {dev: {src_conn: f}}, connections: {f: {type: files, path: 'file:///data', key_file: /k.pem}}}"
    )
    assert config(text).environment("dev").connection("src").fields == {"path": "file:///data", "key_file": "/k.pem"}


def test_a_refresh_is_masked_unless_the_file_says_otherwise():
    found = config("environments: {a: {data: {refresh_from: c}}, b: {data: {refresh_from: c, masked: false}}, c: {}}")
    assert [lane.data.masked for lane in found.environments.values()] == [True, False, False]


def test_data_is_merged_through_the_layers():
    text = """\
    defaults: {data: {from: 2013-01-01, to: yesterday}}
    environments: {dev: {data: {to: 2013-01-07}}, prod: {}, year: {data: {from: 2013, to: 2014, values: [NO, 5]}}}
    """
    found = config(text)
    assert (found.environment("dev").data.first, found.environment("dev").data.last) == ("2013-01-01", "2013-01-07")
    assert found.environment("prod").data.last == "yesterday"
    assert found.environment("year").data.values == ("NO", "5")
    assert found.environment("dev").origins["data.from"].layer == "defaults"


def test_the_rest_of_the_file_is_read():
    text = """\
    environments: {dev: {}}
    people: {ada: {emails: [ada@example.org], groups: data-leads}, bob: }
    identity: declared
    ledger: postgresql://db.example.org/lane
    builds: s3://builds
    checkpoints: s3://points
    logs: {format: json}
    promotion:
      dev:
        rollout: {strategy: blue-green, bake: 30m, max_bad: 1%}
        evidence_expires: 2h
        rollback_window: 3d
        opens_next: false
        freeze: [{start: 2026-12-24, end: 2027-01-02, timezone: Europe/Berlin, reason: holidays}]
    """
    found = config(text)
    assert found.people["ada"].groups == ("data-leads",)
    assert found.people["bob"].groups == ()
    assert (found.identity, found.ledger, found.builds) == (
        "declared",
        "postgresql://db.example.org/lane",
        "s3://builds",
    )
    assert (found.checkpoints, found.log_format) == ("s3://points", "json")
    rules = found.environment("dev").rules
    assert (rules.rollout.strategy, rules.rollout.bake) == ("blue-green", timedelta(minutes=30))
    assert rules.rollout.max_bad == Decimal("0.01")
    assert (rules.evidence_expires, rules.rollback_window) == (timedelta(hours=2), timedelta(days=3))
    assert not rules.opens_next
    assert rules.freeze[0].reason == "holidays"


@pytest.mark.parametrize("name", ["all-at-once", "blue-green"])
def test_a_rollout_may_be_a_word(name):
    found = config(f"{{environments: {{d: }}, promotion: {{d: {{rollout: {name}}}}}}}")
    assert found.environment("d").rules.rollout.strategy == name


def test_a_pinned_document_gives_the_same_config_even_after_json_sorts_its_keys():
    found = config(DESIGN)
    document = json.loads(json.dumps(found.document, sort_keys=True))
    again = from_document(document, PROJECT, {}, file="pinned")
    assert again == found
    assert again.digest == found.digest
    assert list(again.environments) == ["dev", "stage", "prod"]
    assert again.environment("prod").origins["settings.retries"] == Origin("environments.prod", "pinned")


def test_another_order_of_the_environments_is_another_config():
    one, other = config("environments: {a: {}, b: {}}"), config("environments: {b: {}, a: {}}")
    assert one.digest != other.digest


def test_a_wrong_pinned_document_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match=r"^pinned: unknown key 'x'"):
        from_document({"environments": {"a": {}}, "x": 1}, PROJECT, {}, file="pinned")


def test_order_is_no_key_of_the_file(refused):
    assert "unknown key 'order'" in refused(config, "environments: {a: }\norder: [a]\n", "2:1").message


def test_both_files_of_a_folder_are_loaded_together(tmp_path):
    (tmp_path / "lanewise.yaml").write_text(LANEWISE + "    settings: [retries, buckt]\n")
    (tmp_path / "environments.yaml").write_text(DESIGN)
    project = load_project(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, project, {})
    assert caught.value.message.startswith("lanewise.yaml:12:25: orders_daily depends on the unknown setting 'buckt'")
    assert caught.value.hint == "did you mean bucket?"
