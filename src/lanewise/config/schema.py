"""The JSON Schemas of both files, drawn from the models that check them.

``python -m lanewise.config.schema`` writes them into the package and, in a checkout, into ``docs/reference``.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

NAMES = ("lanewise", "environments")


def published(name: str) -> str:
    """The schema that ships with the package, as JSON text; ``name`` is one of ``NAMES``."""
    return files("lanewise.config").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")


def drawn(name: str) -> str:
    """The schema as the models say now, as JSON text."""
    from lanewise.config.environment_models import EnvironmentsFile  # noqa: PLC0415 - 300 ms that printing need not pay
    from lanewise.config.project_models import LanewiseFile  # noqa: PLC0415 - as above

    models: dict[str, type[BaseModel]] = {"lanewise": LanewiseFile, "environments": EnvironmentsFile}
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= models[name].model_json_schema(by_alias=True)
    schema["title"] = f"{name}.yaml"
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both."""
    package = Path(__file__).parent
    reference = package.parents[2] / "docs" / "reference"
    for folder in (package, *([reference] if reference.is_dir() else [])):
        for name in NAMES:
            folder.joinpath(f"{name}.schema.json").write_text(drawn(name), encoding="utf-8")


if __name__ == "__main__":
    main()
