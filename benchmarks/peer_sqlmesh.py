"""The peer's side of ``bench_postgres``: runs inside SQLMesh's own environment, prints its seconds as JSON.

    python peer_sqlmesh.py FOLDER MODELS CONNECTION

As many trivial models as asked for go through prod, then a changed version of all of them through dev, which computes
them; what is timed is the promotion into prod after that, and the way back.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from sqlmesh import Context
from sqlmesh.core.config import Config, GatewayConfig, ModelDefaultsConfig
from sqlmesh.core.config.connection import PostgresConnectionConfig


def write_models(folder: Path, count: int, version: int) -> None:
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name = f"m{number:04}"
        (models / f"{name}.sql").write_text(
            f"MODEL (name s.{name}, kind FULL);\nSELECT {version} AS id, 'x' AS name\n", encoding="utf-8"
        )


def plan(folder: Path, config: Config, environment: str) -> float:
    """Seconds of the plan alone: loading the project is not counted."""
    context = Context(paths=str(folder), config=config)
    started = time.perf_counter()
    context.plan(environment, auto_apply=True, no_prompts=True, skip_tests=True)
    return time.perf_counter() - started


def main() -> None:
    folder, count, connection = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    config = Config(
        gateways={"pg": GatewayConfig(connection=PostgresConnectionConfig(concurrent_tasks=4, **connection))},
        default_gateway="pg",
        model_defaults=ModelDefaultsConfig(dialect="postgres"),
        disable_anonymized_analytics=True,
    )
    write_models(folder, count, 1)
    plan(folder, config, "prod")
    write_models(folder, count, 2)
    plan(folder, config, "dev")
    forward = plan(folder, config, "prod")
    write_models(folder, count, 1)
    back = plan(folder, config, "prod")
    print("seconds " + json.dumps({"forward": forward, "back": back}))


if __name__ == "__main__":
    main()
