"""The published schemas are those of the models that check the files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lanewise.config.schema import NAMES, drawn, published

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_schema_is_up_to_date(name):
    # python -m lanewise.config.schema writes both
    assert published(name) == drawn(name)
    assert (REFERENCE / f"{name}.schema.json").read_text(encoding="utf-8") == drawn(name)


def test_the_schemas_name_every_key_for_completion():
    project, environments = (json.loads(published(name)) for name in NAMES)
    assert {"project", "source", "run", "tables"} <= set(project["properties"])
    assert set(project["required"]) == {"project", "source", "run"}
    assert environments["required"] == ["environments"]
    assert project["additionalProperties"] is False
    settings = environments["$defs"]["EnvironmentModel"]
    assert {"extends", "schema", "retries", "sla"} <= set(settings["properties"])
    assert settings["additionalProperties"] is True
    assert {"from", "to", "refresh_from"} <= set(environments["$defs"]["DataModel"]["properties"])


def test_importing_the_package_loads_neither_pydantic_nor_a_parser():
    code = (
        "import sys, lanewise.config; print([m for m in ('pydantic', 'ruamel.yaml', 'dateutil') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import lanewise.config

    with pytest.raises(AttributeError, match="nonsense"):
        lanewise.config.nonsense  # noqa: B018 - asking is the test
