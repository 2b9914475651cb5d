"""``lanewise.yaml`` as pydantic sees it; its JSON Schema is drawn from here."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lanewise.config.models import Strict
from lanewise.config.values import Change, Number, Share, Text, Texts, Timezone


class SourceModel(Strict):
    """Which files of the project's folder are the build."""

    include: Texts = Field(min_length=1, description="Globs of the files that are the build.")
    exclude: Texts = Field(default=[], description="Globs to leave out again.")
    lock: Text | None = Field(default=None, description="The dependency lock file, one of the included files.")


class PartitionModel(Strict):
    """The column that cuts a table into partitions."""

    column: Text
    grain: Literal["hour", "day", "month", "year", "value"] = "day"
    timezone: Timezone = "UTC"


class ColumnModel(Strict):
    """One column, written out."""

    type: Text
    nullable: bool = True


def _written_column(value: object) -> object:
    if not isinstance(value, str):
        return value
    bare = re.sub(r"(?i)\s+not\s+null\s*$", "", value)
    return {"type": bare, "nullable": bare == value}


Column = Annotated[ColumnModel, BeforeValidator(_written_column, json_schema_input_type=Text | ColumnModel)]


class RowCountModel(Strict):
    """Bounds in rows, and as a share of the rows that are live."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    max_drop: Share | None = None
    max_rise: Change | None = None


class AcceptedModel(Strict):
    """A column and the values it may have."""

    column: Text
    values: list[str | int | float | bool] = Field(min_length=1)


class RangeModel(Strict):
    """A column and its bounds, both included."""

    column: Text
    min: str | int | float | None = None
    max: str | int | float | None = None


class CheckModel(Strict):
    """One data check: exactly one kind, and a name if the default one won't do."""

    name: Text | None = None
    not_null: Texts | None = Field(default=None, min_length=1)
    unique: Texts | None = Field(default=None, min_length=1)
    row_count: RowCountModel | None = None
    accepted_values: AcceptedModel | None = None
    range: RangeModel | None = None
    sql: Text | None = Field(default=None, description="A query that counts bad rows of {table}; 0 passes.")


class ChangeModel(Strict):
    """A difference from the live build that this build means to make."""

    what: Literal["values", "rows_added", "rows_removed", "column_added", "column_dropped", "column_retyped"]
    reason: Text
    columns: Texts = Field(default=[])
    limit: Share | None = Field(default=None, description="The share of a partition's keys it may touch.")


class TableModel(Strict):
    """One published table."""

    kind: Literal["full", "partition", "merge", "append"] | None = Field(
        default=None, description="full, or partition where a partition is named."
    )
    partition: PartitionModel | None = None
    key: Texts = Field(default=[])
    columns: dict[str, Column] = Field(
        default={}, description="Column -> SQL type (`BIGINT NOT NULL`), or {type, nullable}."
    )
    checks: list[CheckModel] = Field(default=[])
    history: Literal["inherit", "rebuild"] = "rebuild"
    depends: Texts = Field(default=[], description="Globs of the files it is computed by; none: all.")
    upstream: Texts = Field(default=[], description="Tables of this project that it is computed from.")
    settings: Texts = Field(default=[], description="Settings whose value changes its content.")
    tolerance: dict[str, Number] = Field(default={}, description="Column -> absolute tolerance in comparisons.")
    changes: list[ChangeModel] = Field(default=[])
    offset: Text | None = Field(default=None, description="append: the column whose maximum starts the next run.")


class LanewiseFile(Strict):
    """lanewise.yaml: what is built. It travels inside the build."""

    project: Text = Field(description="The pipeline's name.")
    source: SourceModel
    run: Text = Field(description="The command that computes the tables.")
    tests: Text | None = Field(default=None, description="The command that tests the build.")
    inputs: Texts = Field(default=[], description="Tables it reads and does not write.")
    tables: dict[str, TableModel | None] = Field(default={})
    environment_variable: Text = Field(default="LANEWISE_ENV", description="The variable that names the environment.")
    images: dict[str, Text] = Field(default={}, description="Name -> image@sha256:…")
    wheels: dict[str, Text] = Field(default={}, description="File -> sha256:…")
    effects: Texts = Field(default=[], description="External effects; off in canaries.")
    entries: dict[str, Text] = Field(
        default={}, description="Orchestrator (airflow, dagster, prefect, dbt) -> its DAG, job, flow or selection."
    )
    batch: int | None = Field(default=None, ge=1, description="At most so many partitions per call of `run`.")
