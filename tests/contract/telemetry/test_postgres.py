"""The same on PostgreSQL, ledger and warehouse: what is told has the names that others know its tables by."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import road

from lanewise.testing.postgres import Server

from .receiver import receiver


def test_a_promotion_on_postgres_is_one_trace_and_its_tables_are_called_as_openlineage_calls_them(
    postgres15: Server, tmp_path: Path
):
    database, record = postgres15.database(), postgres15.database()
    with receiver() as told:
        telemetry = f"telemetry: {{otlp: '{told.url}', openlineage: '{told.url}'}}\n"
        ledger = road.ledger_on_postgres(postgres15, record)
        root = road.write_project(tmp_path / "orders", road.on_postgres(postgres15, database) + ledger + telemetry)
        build = road.build(root, "first")
        done = road.lane(root, "promote", build[7:15], "--to", "prod")
    assert (done.code, "telemetry" in done.err) == (0, False), done.err
    (promotion,) = [span for span in told.spans if span.name == "promotion"]
    assert {span.message.trace_id for span in told.spans} == {promotion.message.trace_id}
    assert {span.attributes["service.version"] for span in told.spans} == {build}
    assert {event["job"]["namespace"] for event in told.events} == {f"postgres://127.0.0.1:{postgres15.port}"}
    shown = {output["name"] for event in told.events for output in event["outputs"] if "@" not in output["name"]}
    assert shown == {f"{database}.orders_prod.{table}_prod" for table in ("orders_daily", "totals_daily")}
