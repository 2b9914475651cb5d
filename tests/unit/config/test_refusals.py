"""What environments.yaml must not say: each gives one error, at the right place, naming what was probably meant."""

from __future__ import annotations

import pytest

from lanewise.errors import ConfigError

from .files import config

SECTION = "environments: {dev: {}, prod: {}}\n"

WRONG = {
    "an unknown section": (SECTION + "promotions: {}\n", "2:1", "unknown key 'promotions'", "promotion"),
    "no environments": ("defaults: {}\n", "1:1", "environments is missing", ""),
    "an empty list of environments": ("environments: {}\n", "1:15", "at least 1", ""),
    "a list at the top": ("- a\n", "1:1", "must be a mapping", ""),
    "text at the top": ("hello\n", "1:1", "must be a mapping", ""),
    "environments as a list": ("environments: [dev, prod]\n", "1:15", "must be a mapping", ""),
    "an environment as text": ("environments: {dev: on}\n", "1:21", "must be a mapping", ""),
    "a key in one environment only": (
        "environments:\n  dev: {}\n  prod: {quota: 5}\n", "3:17", "unknown key 'quota'", "default",
    ),
    "a misspelt key": ("environments:\n  dev: {}\n  prod: {retrys: 5}\n", "3:18", "'retrys'", "did you mean retries"),
    "a misspelt nested key": (
        "defaults: {spark: {memory: 1g}}\nenvironments:\n  dev: {spark: {memroy: 2g}}\n",
        "3:25", "'spark.memroy'", "did you mean memory",
    ),
    "a nested key without a default": (
        "environments:\n  a: {s: {x: 1}}\n  b: {s: {x: 1, y: 2}}\n", "3:20", "unknown key 's.y'", "default",
    ),
    "a number as text": ('environments: {dev: {retries: "3"}}', "1:31", "a whole number", ""),
    "a fraction as a count": ("environments: {dev: {retries: 1.5}}", "1:31", "a whole number", ""),
    "a negative count": ("environments: {dev: {retries: -1}}", "1:31", "greater than or equal to 0", ""),
    "a number for text": ("environments: {dev: {bucket: 5}}", "1:30", "must be text", ""),
    "nothing where text belongs": ("environments: {dev: {bucket: }}", "1:29", "bucket must be text, and is null", ""),
    "a wrong type for an own key": (
        "defaults: {quota: 5}\nenvironments: {dev: {quota: many}}", "2:29", "must be a whole number, and is text", "1",
    ),
    "a truth for a number": ("defaults: {q: 5}\nenvironments: {d: {q: true}}", "2:23", "a whole number", ""),
    "text for a truth": ("defaults: {q: true}\nenvironments: {d: {q: yes}}", "2:23", "true or false", ""),
    "a scalar for a mapping": ("defaults: {q: {a: 1}}\nenvironments: {d: {q: 1}}", "2:23", "a mapping", ""),
    "a mapping for a scalar": ("defaults: {q: 1}\nenvironments: {d: {q: {a: 1}}}", "2:27", "a whole number", ""),
    "text in a list of numbers": ("defaults: {q: [1]}\nenvironments: {d: {q: [a]}}", "2:23", "a list of", ""),
    "types that differ without a default": ("environments:\n  a: {q: 1}\n  b: {q: x}\n", "3:10", "whole number", ""),
    "an sla that is no duration": ("environments: {dev: {sla: soon}}", "1:27", "duration such as 30m", ""),
    "a circle of extends": (
        "environments:\n  a: {extends: b}\n  b: {extends: a}\n", "3:16", "in a circle: a → b → a", "",
    ),
    "an environment that extends itself": ("environments: {a: {extends: a}}", "1:29", "circle", ""),
    "an unknown parent": ("environments: {stage: {extends: prd}, prod: }", "1:33", "'prd'", "did you mean prod"),
    "an unknown placeholder": ("environments: {d: {bucket: 'x-{evn}'}}", "1:28", "unknown placeholder {evn}", "{env}"),
    "a lone brace": ("environments: {d: {bucket: 'x}'}}", "1:28", "a lone }", "}}"),
    "a placeholder in a connection's name": (
        SECTION + "connections: {'db_{name}': {type: x}}", "2:15", "unknown placeholder {name}", "{env}",
    ),
    "a placeholder in a connection's field": (
        "environments: {d: {src_conn: c}}\nconnections: {c: {type: x, host: '{region}'}}", "2:34", "placeholder", "",
    ),
    "a connection without a type": (SECTION + "connections: {db: {host: x}}", "2:19", "type is missing", ""),
    "an unknown connection": (
        "environments: {d: {src_conn: postgress}}\nconnections: {postgres: {type: postgres}}",
        "1:30", "'postgress'", "did you mean postgres",
    ),
    "two templates of one name": (
        "environments: {d: {src_conn: d_d}}\nconnections: {'{env}_d': {type: x}, 'd_{env}': {type: x}}",
        "2:37", "both give the connection d_d", "",
    ),
    "a secret reference below a field": (
        "environments: {d: {src_conn: c}}\nconnections: {c: {type: x, options: {a: 'env:X'}}}", "2:37", "directly", "",
    ),
    "an unknown key beside secret": (
        "environments: {d: {src_conn: c}}\nconnections: {c: {type: x, key: {secret: 'env:X', previus: 'env:Y'}}}",
        "2:51", "unknown key 'previus'", "previous",
    ),
    "a max_age that is none": (
        "environments: {d: {src_conn: c}}\nconnections: {c: {type: x, key: {secret: 'env:X', max_age: old}}}",
        "2:60", "max_age must be a duration", "",
    ),
    "rules for an unknown environment": (SECTION + "promotion: {prd: {}}", "2:13", "'prd'", "did you mean prod"),
    "a misspelt rule": (SECTION + "promotion: {prod: {aprovals: {}}}", "2:20", "'aprovals'", "approvals"),
    "a misspelt key deep in the rules": (
        SECTION + "promotion: {prod: {freeze: [{rule: x}]}}", "2:30", "unknown key 'rule'", "rrule",
    ),
    "a gate that is a number": (SECTION + "promotion: {prod: {gates: [5]}}", "2:28", "a gate's name", ""),
    "a gate with scalar arguments": (SECTION + "promotion: {prod: {gates: [soak: 5]}}", "2:28", "its arguments", ""),
    "negative approvals": (SECTION + "promotion: {prod: {approvals: {count: -1}}}", "2:39", "greater than", ""),
    "a canary that shrinks": (SECTION + "promotion: {prod: {rollout: {canary: [25%, 5%, 100%]}}}", "2:38", "grow", ""),
    "a canary that does not end": (SECTION + "promotion: {prod: {rollout: {canary: [5%]}}}", "2:38", "end at 100%", ""),
    "a canary from nothing": (SECTION + "promotion: {prod: {rollout: {canary: [0%, 100%]}}}", "2:38", "grow", ""),
    "a share above all": (SECTION + "promotion: {prod: {rollout: {canary: [5%, 200%]}}}", "2:43", "at most 100%", ""),
    "a share that forgot its sign": (SECTION + "promotion: {prod: {rollout: {canary: [5, 100]}}}", "2:39", "5%", ""),
    "an unknown rollout": (SECTION + "promotion: {prod: {rollout: yolo}}", "2:29", "all-at-once, blue-green", ""),
    "a canary without steps": (SECTION + "promotion: {prod: {rollout: canary}}", "2:29", "needs its steps", "5%"),
    "a freeze of nothing": (SECTION + "promotion: {prod: {freeze: [{reason: x}]}}", "2:29", "an rrule, or", ""),
    "a freeze without an end": (SECTION + "promotion: {prod: {freeze: [{start: 2026-01-01}]}}", "2:29", "an rrule", ""),
    "an rrule that is none": (SECTION + "promotion: {prod: {freeze: [{rrule: FRIDAYS}]}}", "2:37", "no RRULE", "FREQ"),
    "a time zone that is none": (
        SECTION + "promotion: {prod: {freeze: [{rrule: FREQ=DAILY, timezone: ../x}]}}", "2:59", "no time zone", "",
    ),
    "a group of nobody": (
        SECTION + "people: {ada: {groups: [data-leads]}}\npromotion: {prod: {approvals: {from: [data-lead]}}}",
        "3:39", "nobody", "did you mean data-leads",
    ),
    "more approvals than people": (
        SECTION + "people: {ada: {groups: [l]}}\npromotion: {prod: {approvals: {count: 2, from: [l]}}}",
        "3:39", "2 approvals", "",
    ),
    "a refresh from nowhere": (
        "environments: {stage: {data: {refresh_from: prdo}}, prod: }", "1:45", "'prdo'", "did you mean prod",
    ),
    "a refresh from itself": ("environments: {stage: {data: {refresh_from: stage}}}", "1:45", "from itself", ""),
    "data that ends before it starts": (
        "environments: {d: {data: {from: 2013-02-01, to: 2013-01-01}}}", "1:49", "is after", "",
    ),
    "a misspelt data key": ("environments: {d: {data: {form: x}}}", "1:27", "unknown key 'form'", "from"),
    "an identity that is none": (SECTION + "identity: trust-me", "2:11", "os-user or declared", ""),
    "telemetry to no address": (SECTION + "telemetry: collector", "2:12", "must be an address", ""),
    "a header that is no reference": (
        SECTION + "telemetry: {otlp: {url: 'http://c:1', headers: {Authorization: open sesame}}}",
        "2:64", "a header is a secret reference", "env:NAME",
    ),
    "a log format that is none": (SECTION + "logs: {format: xml}", "2:16", "text or json", ""),
    "a setting's name with a dot": ("environments: {d: {a.b: 1}}", "1:20", "no name for a setting", ""),
    "two names that a variable can't tell apart": ("environments: {a-b: {}, a_b: {}}", "1:25", "LANEWISE__A_B", ""),
    "two names that a file system can't tell apart": ("environments: {Prod: {}, prod: {}}", "1:26", "same", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gives_one_error_at_its_place(refused, name):
    text, where, message, hint = WRONG[name]
    error = refused(config, text, where)
    assert message in error.message
    assert hint in error.hint + error.message


@pytest.mark.parametrize(
    "name",
    ["../x", "a b", "prod\\n", "", "-x", "_x", "é", "a/b", "a.b", "x" * 64, "prod\\u200b", "$(id)", "a;b", "a\\0b"],
)
def test_a_hostile_environment_name_is_refused_where_it_stands(refused, name):
    error = refused(config, f'environments:\n  dev: {{}}\n  "{name}": {{}}\n')
    assert error.line == 3
    assert error.message.isprintable()


VARIABLES = {
    "an unknown setting": ("LANEWISE__RETRYS", "5", "no setting 'RETRYS'", "RETRIES"),
    "a wrong type": ("LANEWISE__RETRIES", "many", "a whole number", ""),
    "a fraction": ("LANEWISE__PROD__RETRIES", "1.5", "a whole number", ""),
    "a negative number": ("LANEWISE__RETRIES", "-1", "greater than", ""),
    "an sla that is none": ("LANEWISE__SLA", "soon", "duration", ""),
    "a step into a value": ("LANEWISE__RETRIES__MAX", "5", "no setting 'MAX'", ""),
    "an unknown placeholder": ("LANEWISE__BUCKET", "{x}", "unknown placeholder", ""),
    "an environment alone": ("LANEWISE__PROD", "5", "no setting 'PROD'", ""),
    "an empty name": ("LANEWISE__", "5", "no setting", ""),
    "a credential in a URI": ("LANEWISE__BUCKET", "s3://user:hunter2@host/x", "credential", "reference"),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_wrong_variable_is_refused_by_its_name_and_its_value_is_not_shown(name):
    variable, value, message, hint = VARIABLES[name]
    with pytest.raises(ConfigError) as caught:
        config(SECTION, {variable: value})
    error = caught.value
    assert error.message.startswith(f"{variable}: ")
    assert message in error.message
    assert hint in error.hint
    assert "hunter2" not in error.message + error.hint


def test_variables_are_typed_by_what_they_replace():
    text = "{defaults: {n: 1, f: 1.5, b: true, t: x, l: [1], m: {a: 1}, z: }, environments: {dev: {}, prod-eu: {}}}"
    variables = {
        "LANEWISE__N": "7", "LANEWISE__F": "2", "LANEWISE__B": "false", "LANEWISE__T": "007", "LANEWISE__L": "[2, 3]",
        "LANEWISE__M": "{a: 5}", "LANEWISE__Z": "30m", "LANEWISE__PROD_EU__N": "9", "PATH": "/bin", "LANEWISE_ENV": "x",
    }  # fmt: skip
    found = config(text, variables)
    dev = found.environment("dev").settings
    assert {key: dev[key] for key in "nfbtlmz"} == {
        "n": 7, "f": 2, "b": False, "t": "007", "l": [2, 3], "m": {"a": 5}, "z": "30m",
    }  # fmt: skip
    assert found.environment("prod-eu").settings["n"] == 9
