"""The reference pages name every key, and the examples in the docs are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lanewise.config import check_snippet
from lanewise.config.reading import read_text
from lanewise.config.schema import published

from .files import config, project

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {
    "reference/lanewise-yaml.md": "lanewise",
    "reference/environments-yaml.md": "environments",
}
GUIDES = [*PAGES, "how-to/configure-environments.md", "how-to/adopt-two-or-seven-environments.md"]


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_key_has_its_place_on_the_reference_page(page):
    schema = json.loads(published(PAGES[page]))
    text = (DOCS / page).read_text(encoding="utf-8")
    models = [schema, *(one for one in schema["$defs"].values() if "properties" in one)]
    keys = {key for one in models for key in one["properties"]}
    keys |= {key for one in models for key in one.get("then", {}).get("properties", {})}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", text)) == []


@pytest.mark.parametrize("page", GUIDES)
def test_the_yaml_on_a_page_is_valid(page):
    for text in examples(page):
        document = read_text(text, page)
        keys = set(document.root.members)
        if "project" in keys:
            project(text)
        elif "environments" in keys:
            config(text)
            assert check_snippet(text, page) == ()
        elif "connections" in keys:
            config("environments: {prod: {src_conn: 'postgres_{env}'}}\n" + text)
        else:
            assert keys <= {"tables", "password"}, "an example that nothing checks"
