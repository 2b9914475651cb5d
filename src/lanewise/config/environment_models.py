"""``environments.yaml`` as pydantic sees it; its JSON Schema is drawn from here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from lanewise.config.models import Strict
from lanewise.config.values import Duration, Moment, Share, Text, Texts, Timezone, parse_duration
from lanewise.domain.environment import GateSpec


def _written_duration(text: str) -> str:
    parse_duration(text)
    return text


def _text_of_number(value: object) -> object:
    # A year partition is written 2013, which YAML reads as a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _texts_of_numbers(value: object) -> object:
    return [_text_of_number(item) for item in value] if isinstance(value, list) else value


def _gate(value: object) -> GateSpec:
    if isinstance(value, str) and value:
        return GateSpec(value)
    if isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        if arguments is None or isinstance(arguments, dict):
            return GateSpec(str(name), arguments or {})
    raise ValueError("must be a gate's name, or {name: {its arguments}}")


def _rollout(value: object) -> object:
    return {"strategy": value} if isinstance(value, str) else value


Partition = Annotated[str, BeforeValidator(_text_of_number), Field(min_length=1, max_length=200)]
Gate = Annotated[
    GateSpec,
    PlainValidator(_gate),
    WithJsonSchema({
        "anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}],
        "examples": ["tests", {"soak": {"runs": 1}}],
    }),
]  # fmt: skip


class DataModel(Strict):
    """Which data the environment holds."""

    refresh_from: Text | None = Field(default=None, description="The environment that `lane refresh` copies from.")
    masked: bool | None = Field(default=None, description="Mask on the way; true wherever refresh_from is set.")
    sample: Share | None = Field(default=None, description="The share of it to copy.")
    first: Partition | None = Field(default=None, alias="from", description="The first partition.")
    last: Partition | None = Field(default=None, alias="to", description="The last one; also today or yesterday.")
    values: Annotated[list[Partition], BeforeValidator(_texts_of_numbers)] = Field(
        default=[], description="The partitions of a table cut by value."
    )


class SettingsModel(Strict):
    """The standard keys that every project has; others are the project's own."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    src_conn: str | None = Field(default=None, description="The connection that inputs are read through.")
    dst_conn: str | None = Field(default=None, description="The connection of the warehouse.")
    bucket: str | None = Field(default=None, description="Where files are kept.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema of published tables.")
    table_suffix: str | None = Field(default=None, description="What physical names end in.")
    service_account: str | None = Field(default=None, description="Who runs the pipeline.")
    retries: int | None = Field(default=None, ge=0, description="How often a failed run is tried again.")
    sla: Annotated[str, AfterValidator(_written_duration)] | None = Field(
        default=None, description="How long a run may take, such as 30m."
    )
    data: DataModel | None = None


class EnvironmentModel(SettingsModel):
    """One lane: what differs here from the defaults."""

    extends: Text | None = Field(default=None, description="Another environment to start from.")


def _fields_of_types(drawn: dict[str, Any]) -> None:
    from lanewise.config.postgres import schema  # noqa: PLC0415 - when the schema is drawn, never to check a file

    drawn.update(schema())


class ConnectionModel(Strict):
    """A connection: its type and the fields that type takes. Secrets are references."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, json_schema_extra=_fields_of_types)

    type: Text


class ApprovalsModel(Strict):
    """Who must say yes."""

    count: int = Field(default=1, ge=0, le=100)
    groups: Texts = Field(default=[], alias="from", description="Groups; none: anyone but the requester.")
    expires: Duration | None = None


class RolloutModel(Strict):
    """How a plan is carried out."""

    strategy: Literal["all-at-once", "blue-green", "canary"] | None = None
    canary: list[Share] | None = Field(default=None, min_length=1, description="Growing shares that end at 100%.")
    bake: Duration | None = Field(default=None, description="How long an exposed step is watched.")
    max_bad: Share | None = Field(default=None, description="Share of partitions that may differ undeclared.")


class FreezeModel(Strict):
    """A window in which nothing moves forward: an RRULE, or start and end."""

    rrule: Text | None = None
    timezone: Timezone = "UTC"
    duration: Duration | None = None
    start: Moment | None = None
    end: Moment | None = None
    reason: str = ""


Named = Literal["all-at-once", "blue-green"]


class RulesModel(Strict):
    """The rules of the road into one environment."""

    gates: list[Gate] = Field(default=[])
    approvals: ApprovalsModel | None = None
    rollout: Annotated[RolloutModel, BeforeValidator(_rollout, json_schema_input_type=Named | RolloutModel)] | None = (
        None
    )
    freeze: list[FreezeModel] = Field(default=[])
    evidence_expires: Duration | None = None
    rollback_window: Duration | None = None
    opens_next: bool = Field(default=True, description="Success opens the promotion into the next environment.")


class PersonModel(Strict):
    """Somebody who may approve."""

    emails: Texts = Field(default=[])
    groups: Texts = Field(default=[])


class LogsModel(Strict):
    """How logs are written."""

    format: Literal["text", "json"] = "text"


def _receiver(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


def _receivers(value: object) -> object:
    return {"otlp": value} if isinstance(value, str) else value


_ADDRESS = re.compile(r"https?://[^\s/?#@]+[^\s?#@]*")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be an address such as http://HOST:4318")
    return text


Address = Annotated[
    str, AfterValidator(_address), WithJsonSchema({"type": "string", "pattern": f"^{_ADDRESS.pattern}$"})
]


class ReceiverModel(Strict):
    """Who is told, and how it knows who sends."""

    url: Address
    headers: dict[str, Text] = Field(default={}, description="Sent with each request; every value a secret reference.")


Receiver = Annotated[ReceiverModel, BeforeValidator(_receiver, json_schema_input_type=Address | ReceiverModel)]


class TelemetryModel(Strict):
    """Where spans, metrics, logs and lineage are sent. Each is an address, or an address with headers."""

    otlp: Receiver | None = Field(
        default=None, description="An OpenTelemetry collector, OTLP over HTTP: http://HOST:4318."
    )
    openlineage: Receiver | None = Field(default=None, description="A receiver of OpenLineage events, over HTTP.")


class EnvironmentsFile(Strict):
    """environments.yaml: where it runs. It never travels inside a build."""

    defaults: SettingsModel | None = Field(
        default=None, description="Settings of every environment; {env} is its name."
    )
    environments: dict[str, EnvironmentModel | None] = Field(min_length=1, description="In promotion order.")
    connections: dict[str, ConnectionModel] | None = None
    promotion: dict[str, RulesModel | None] | None = Field(default=None, description="The rules into each environment.")
    people: dict[str, PersonModel | None] | None = None
    identity: Literal["os-user", "declared"] = "os-user"
    ledger: Text = Field(
        default="sqlite:///.lanewise/ledger.db",
        description="Where the record is kept; also postgresql://USER@HOST/DATABASE?password=env:NAME.",
    )
    builds: Text = ".lanewise/builds"
    checkpoints: Text = ".lanewise/checkpoints"
    logs: LogsModel | None = None
    telemetry: (
        Annotated[TelemetryModel, BeforeValidator(_receivers, json_schema_input_type=Address | TelemetryModel)] | None
    ) = Field(default=None, description="Off unless set. An address alone is that of an OTLP collector.")
