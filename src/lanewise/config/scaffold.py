"""The files of a new project, each line explained. Pure: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lanewise.config.overrides import spelled
from lanewise.config.values import NAME, NAME_RULE
from lanewise.errors import WrongInput

IGNORED = ".lanewise/"


def project_name(folder: str) -> str:
    """A valid project name made of a folder's name."""
    cleaned = re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-_")
    return cleaned[:63].rstrip("-_") or "pipeline"


def scaffold(name: str, environments: Sequence[str], *, example: bool) -> dict[str, str]:
    """Path to content. ``example``: with a tiny pipeline that runs. ``WrongInput`` for names that can't be used."""
    _check_names(name, environments)
    files = {
        "lanewise.yaml": _LANEWISE.format(name=_quoted(name), tables=_EXAMPLE_TABLES if example else _NO_TABLES),
        "environments.yaml": _environments(environments),
    }
    if example:
        files |= {
            "pipelines/__init__.py": "",
            "pipelines/words.py": _PIPELINE,
            "tests/test_words.py": _TEST,
        }
    return files


def with_ignored(existing: str) -> str:
    """A ``.gitignore`` that leaves Lanewise's own folder out; unchanged when it does already."""
    lines = {line.strip().strip("/") for line in existing.splitlines()}
    if IGNORED.strip("/") in lines:
        return existing
    gap = "" if not existing or existing.endswith("\n") else "\n"
    return f"{existing}{gap}# what Lanewise keeps on this machine: ledger, builds, warehouse\n{IGNORED}\n"


def _check_names(name: str, environments: Sequence[str]) -> None:
    if not NAME.fullmatch(name):
        raise WrongInput(f"{name[:80]!r} is no name for a project", hint=f"{NAME_RULE}; give one with --name")
    if not environments:
        raise WrongInput("a project has at least one environment", hint="--environments dev,stage,prod")
    for one in environments:
        if not NAME.fullmatch(one):
            raise WrongInput(f"{one[:80]!r} is no name for an environment", hint=NAME_RULE)
    if len({spelled(one) for one in environments}) != len(environments):
        raise WrongInput("two environments have the same name, but for case or - and _", hint="rename one of them")


def _environments(names: Sequence[str]) -> str:
    width = max(len(_quoted(name)) for name in names) + 1
    lanes = "\n".join(f"  {_quoted(name) + ':':<{width}} {{}}" for name in names)
    rules = "\n".join(_RULES.format(name=_quoted(name)) for name in names[1:])
    promotion = f"promotion:                      # what must hold before a build enters\n{rules}\n" if rules else ""
    return _ENVIRONMENTS.format(lanes=lanes, promotion=promotion, last=names[-1])


def _quoted(name: str) -> str:
    """In quotes where YAML would read something other than text: 1, null, on."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) and name.lower() not in _YAML_WORDS
    return name if plain else f'"{name}"'


_YAML_WORDS = {"true", "false", "null", "yes", "no", "y", "n", "on", "off"}

_LANEWISE = """\
# What is built. This file travels inside every build; it knows no environment.
project: {name}
source:                         # the files that are the build; nothing else goes along
  include: ["pipelines/**/*.py", "tests/**/*.py"]
run: python -m pipelines.words  # the command that computes the tables
tests: pytest -q tests          # the command that the gate `tests` runs inside the build
{tables}"""

_NO_TABLES = """\
tables: {}                      # what it publishes, for example:
#  orders_daily:
#    partition: {column: order_date, grain: day}   # published a day at a time
#    key: [order_id]                               # what makes a row one row
#    checks: [{not_null: [order_id]}, {row_count: {max_drop: 5%}}]
"""

_EXAMPLE_TABLES = """\
tables:                         # what it publishes
  words:
    kind: full                  # rebuilt as a whole; others: partition, merge, append
    key: [word]                 # what makes a row one row
    columns:                    # the contract with readers
      word: VARCHAR NOT NULL
      letters: INTEGER
    checks:                     # nobody sees a run's rows before these hold
      - not_null: [word]
      - unique: [word]
      - row_count: {min: 1}
"""

_ENVIRONMENTS = """\
# Where it runs. This file never travels inside a build: it holds the road signs and the rules of the road.
defaults:                       # settings of every environment; {{env}} is its name
  dst_conn: warehouse_{{env}}     # the connection of the warehouse, declared below
  bucket: raw-data-{{env}}        # where files are kept
  schema: analytics_{{env}}       # the schema of published tables
  table_suffix: _{{env}}          # what physical names end in
  service_account: sa-etl-{{env}} # who runs the pipeline
  retries: 0                    # how often a failed run is tried again
  sla: null                     # how long a run may take, such as 30m

environments:                   # in promotion order; what differs goes here, e.g. {last}: {{retries: 3}}
{lanes}

connections:                    # secrets are references: env:NAME, file:PATH, keyring:SERVICE/NAME, vault:PATH#FIELD
  "warehouse_{{env}}": {{type: duckdb}} # Parquet files in .lanewise/, with DuckDB views

{promotion}"""

_RULES = """\
  {name}:
    gates: [tests, quality]     # the build's own tests; the tables' checks
    # approvals: {{count: 1}}     # a second person says yes; `from: [GROUP]` names a group under people:
    # rollout: {{canary: [5%, 25%, 100%]}}   # try it on some partitions first"""

_PIPELINE = '''\
"""Writes one small table."""

import lanewise

WORDS = ("build", "once", "promote", "everywhere")


def rows(words=WORDS):
    """Each word with its number of letters."""
    return [(word, len(word)) for word in words]


def main():
    """One run: what is written here is audited, and published only if it passes."""
    with lanewise.current().run() as run:
        for word, letters in rows():
            run.sql(f"insert into {run.output('words')} select ?, ?", [word, letters])


if __name__ == "__main__":
    main()
'''

_TEST = '''\
"""The gate `tests` runs these inside the build, with the settings of the environment that it is to enter."""

from pipelines.words import rows


def test_every_word_is_counted():
    assert rows(["lane", ""]) == [("lane", 4), ("", 0)]
'''
