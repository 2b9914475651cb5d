"""lanewise.yaml: what it means, and what it must not say."""

from __future__ import annotations

import pytest

from lanewise.config import parse_project
from lanewise.domain.project import (
    Check,
    Column,
    DeclaredChange,
    Grain,
    History,
    PartitionSpec,
    Source,
    Table,
    TableKind,
)

from .files import LANEWISE, project

HEAD = "project: p\nsource: {include: a}\nrun: x\n"


def one_table(text: str) -> Table:
    return project(HEAD + f"tables: {{t: {{{text}}}}}").tables["t"]


def test_the_design_s_file_says_what_the_design_says():
    found = project(LANEWISE)
    assert found.name == "orders"
    assert found.source == Source(("pipelines/**", "tests/**", "requirements.txt"))
    assert (found.run, found.tests) == ("python -m pipelines.orders", "pytest -q tests")
    assert found.inputs == ("raw.orders", "raw.customers")
    assert found.environment_variable == "LANEWISE_ENV"
    assert found.tables == {
        "orders_daily": Table(
            "orders_daily", TableKind.PARTITION, PartitionSpec("order_date", Grain.DAY, "UTC"), ("order_id",),
            checks=(
                Check("not_null_order_id", "not_null", {"columns": ["order_id"]}),
                Check("unique_order_id", "unique", {"columns": ["order_id"]}),
                Check("row_count", "row_count", {"max_drop": "0.05"}),
            ),
        )
    }  # fmt: skip


def test_everything_that_a_table_may_have_is_read():
    text = """\
    project: p
    source: {include: ["a/**"], exclude: ["a/x"], lock: requirements.txt}
    run: python -m a
    environment_variable: DEPLOY_ENV
    effects: [mail]
    batch: 30
    images: {spark: "registry.example.org:5000/spark@sha256:%s"}
    wheels: {dist/a.whl: "sha256:%s"}
    tables:
      mart.t:
        kind: merge
        key: id
        partition: {column: region, grain: value, timezone: Europe/Berlin}
        columns: {id: BIGINT NOT NULL, region: VARCHAR, amount: {type: "DECIMAL(18,2)", nullable: false}}
        checks:
          - {accepted_values: {column: region, values: [NO, 1]}, name: regions}
          - {range: {column: amount, min: 0, max: 9.5}}
          - sql: select count(*) from {table} where amount is null
          - {row_count: {min: 1, max_rise: 250%%}}
        history: inherit
        depends: ["a/t.py"]
        upstream: [u]
        settings: [retries]
        tolerance: {amount: 0.01}
        changes: [{what: values, reason: rounding, columns: amount, limit: 1%%}]
      u: {kind: append, offset: seq}
      v:
    """
    found = project(text % ("a" * 64, "b" * 64))
    assert found.source == Source(("a/**",), ("a/x",), "requirements.txt")
    assert (found.environment_variable, found.effects, found.batch) == ("DEPLOY_ENV", ("mail",), 30)
    assert set(found.images) == {"spark"}
    assert set(found.wheels) == {"dist/a.whl"}
    table = found.tables["mart.t"]
    assert table.columns == (
        Column("id", "BIGINT", False), Column("region", "VARCHAR"), Column("amount", "DECIMAL(18,2)", False),
    )  # fmt: skip
    assert table.partition == PartitionSpec("region", Grain.VALUE, "Europe/Berlin")
    assert table.checks == (
        Check("regions", "accepted_values", {"column": "region", "values": ["NO", 1]}),
        Check("range_amount", "range", {"column": "amount", "min": 0, "max": 9.5}),
        Check("sql_3", "sql", {"query": "select count(*) from {table} where amount is null"}),
        Check("row_count", "row_count", {"min": 1, "max_rise": "2.5"}),
    )
    assert (table.history, table.depends, table.upstream) == (History.INHERIT, ("a/t.py",), ("u",))
    assert (table.settings, table.tolerance) == (("retries",), {"amount": "0.01"})
    assert table.changes == (DeclaredChange("values", "rounding", ("amount",), "0.01"),)
    assert found.tables["u"].offset == "seq"
    assert found.tables["v"] == Table("v")


def test_naming_a_partition_makes_the_kind_partition():
    assert one_table("partition: {column: d}").kind is TableKind.PARTITION


def test_a_column_may_be_called_token():
    assert one_table("columns: {token: VARCHAR, password: VARCHAR}").columns[0] == Column("token", "VARCHAR")


def test_a_build_s_file_is_named_as_the_caller_says(refused):
    error = refused(lambda text: parse_project(text, "build 3f9a2c71/lanewise.yaml"), "project: p\n", "1:1")
    assert error.file == "build 3f9a2c71/lanewise.yaml"


WRONG = {
    "nothing": ("", "1:1", "project is missing", ""),
    "a misspelt key": (HEAD + "tabels: {}", "4:1", "unknown key 'tabels'", "tables"),
    "no source": ("project: p\nrun: x\n", "1:1", "source is missing", ""),
    "an empty source": ("project: p\nsource: {include: []}\nrun: x\n", "2:19", "at least 1", ""),
    "a hostile project name": ("project: ../p\nsource: {include: a}\nrun: x\n", "1:10", "no name for a project", ""),
    "a source above the folder": ("project: p\nsource: {include: [a, ../b]}\nrun: x\n", "2:23", "leaves the", ""),
    "an absolute source": ("project: p\nsource: {include: [/etc/passwd]}\nrun: x\n", "2:20", "leaves the folder", ""),
    "a lock elsewhere": ("project: p\nsource: {include: a, lock: ../l}\nrun: x\n", "2:28", "leaves the folder", ""),
    "an open quote in the command": ("project: p\nsource: {include: a}\nrun: \"python 'x\"\n", "3:6", "no command", ""),
    "an empty command": ("project: p\nsource: {include: a}\nrun: ' '\n", "3:6", "run is empty", ""),
    "an image by tag": (HEAD + "images: {a: 'spark:latest'}", "4:13", "named by its digest", "@sha256:"),
    "a wheel without its digest": (HEAD + "wheels: {a.whl: latest}", "4:17", "named by its digest", ""),
    "a variable that is none": (HEAD + "environment_variable: A-B", "4:23", "no name for a variable", ""),
    "a batch of nothing": (HEAD + "batch: 0", "4:8", "greater than or equal to 1", ""),
    "an input with a quote": (HEAD + "inputs: [raw.orders, 'a\"b']", "4:22", "no name for a table", ""),
    "a table with a hostile name": (HEAD + "tables: {'../t': }", "4:10", "no name for a table", ""),
    "a table with three parts": (HEAD + "tables: {a.b.c: }", "4:10", "no name for a table", ""),
    "tables that differ by case": (HEAD + "tables: {Orders: , orders: }", "4:20", "differ by case", ""),
    "an unknown kind": (HEAD + "tables: {t: {kind: partiton}}", "4:20", "full, partition, merge or append", ""),
    "partitions by nothing": (HEAD + "tables: {t: {kind: partition}}", "4:13", "names no column", "partition:"),
    "a full table with partitions": (
        HEAD + "tables: {t: {kind: full, partition: {column: d}}}", "4:20", "of kind full", "kind: partition",
    ),
    "a merge without a key": (HEAD + "tables: {t: {kind: merge}}", "4:13", "merged by key", "key:"),
    "an offset of a full table": (HEAD + "tables: {t: {offset: seq}}", "4:14", "keeps no offset", "append"),
    "an unknown grain": (HEAD + "tables: {t: {partition: {column: d, grain: week}}}", "4:44", "hour, day, month", ""),
    "a time zone that is none": (
        HEAD + "tables: {t: {partition: {column: d, timezone: Mars}}}", "4:47", "no time zone", "",
    ),
    "a type with a statement in it": (
        HEAD + "tables: {t: {columns: {a: 'INT; drop table x'}}}", "4:27", "no SQL type", "DECIMAL",
    ),
    "a type with an open bracket": (HEAD + "tables: {t: {columns: {a: 'DECIMAL(1'}}}", "4:27", "no SQL type", ""),
    "columns that differ by case": (HEAD + "tables: {t: {columns: {a: INT, A: INT}}}", "4:32", "but for case", ""),
    "a check of two kinds": (HEAD + "tables: {t: {checks: [{unique: a, not_null: a}]}}", "4:23", "exactly one", ""),
    "a check of no kind": (HEAD + "tables: {t: {checks: [{name: a}]}}", "4:23", "exactly one", ""),
    "an unknown check": (HEAD + "tables: {t: {checks: [{notnull: a}]}}", "4:24", "'notnull'", "not_null"),
    "two checks of one name": (
        HEAD + "tables: {t: {checks: [{unique: a}, {unique: a}]}}", "4:36", "are called unique_a", "name",
    ),
    "a query that looks elsewhere": (HEAD + "tables: {t: {checks: [{sql: select 1}]}}", "4:29", "{table}", ""),
    "a row count without a bound": (HEAD + "tables: {t: {checks: [{row_count: {}}]}}", "4:35", "at least one of", ""),
    "a range that nothing can meet": (
        HEAD + "tables: {t: {checks: [{range: {column: a, min: 2, max: 1}}]}}", "4:31", "min is above max", "",
    ),
    "a range without bounds": (HEAD + "tables: {t: {checks: [{range: {column: a}}]}}", "4:31", "min, max or both", ""),
    "a drop above all": (
        HEAD + "tables: {t: {checks: [{row_count: {max_drop: 120%}}]}}", "4:46", "at most 100%", "",
    ),
    "a key that is no column": (HEAD + "tables: {t: {key: [idd], columns: {id: INT}}}", "4:20", "'idd'", "id"),
    "a partition that is no column": (
        HEAD + "tables: {t: {partition: {column: day}, columns: {days: DATE}}}", "4:34", "'day'", "days",
    ),
    "a check of no column": (
        HEAD + "tables: {t: {columns: {a: INT}, checks: [{unique: b}]}}", "4:51", "no column 'b'", "a",
    ),
    "a negative tolerance": (HEAD + "tables: {t: {tolerance: {a: -1}}}", "4:29", "0 or more", ""),
    "a change without a reason": (HEAD + "tables: {t: {changes: [{what: values}]}}", "4:24", "reason is missing", ""),
    "an unknown change": (
        HEAD + "tables: {t: {changes: [{what: all, reason: x}]}}", "4:31", "must be values, rows_added", "",
    ),
    "an unknown upstream": (HEAD + "tables: {t: {upstream: [uu]}, u: }", "4:25", "'uu'", "u"),
    "tables in a circle": (HEAD + "tables: {a: {upstream: b}, b: {upstream: a}}", "", "upstream of themselves", ""),
    "a table upstream of itself": (HEAD + "tables: {a: {upstream: a}}", "", "upstream of themselves: a → a", ""),
    "a source file above the folder": (HEAD + "tables: {t: {depends: ['../x']}}", "4:24", "leaves the folder", ""),
    "an entry above the folder": (HEAD + "entries: {dbt: ../other}", "4:16", "entries.dbt leaves", "in the build"),
    "an entry elsewhere": (HEAD + "entries: {prefect: '/srv/x.py:f'}", "4:20", "entries.prefect leaves", ""),
    "a credential in the command": (
        "project: p\nsource: {include: a}\nrun: x --db postgres://u:hunter2@h/d\n", "3:6", "a credential", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gives_one_error_at_its_place(refused, name):
    text, where, message, hint = WRONG[name]
    error = refused(project, text, where)
    assert message in error.message
    assert hint in error.hint
    assert "hunter2" not in error.message + error.hint


def test_many_tables_over_one_another_are_checked_quickly():
    # Every path through these layers would be 2**200.
    layers = "\n".join(
        f"  a{n}: {{upstream: [a{n - 1}, b{n - 1}]}}\n  b{n}: {{upstream: [a{n - 1}, b{n - 1}]}}" for n in range(1, 200)
    )
    assert len(project(f"{HEAD}tables:\n  a0: {{}}\n  b0: {{}}\n{layers}\n").tables) == 400
