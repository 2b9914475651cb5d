"""Which names are another environment's."""

from __future__ import annotations

import pytest

from lanewise.integrations.airflow.names import dag_of_another, label_of_another, of_another

ALL = ("dev", "stage", "prod", "eu-prod")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("postgres_stage", "stage"),
        ("STAGE_postgres", "stage"),
        ("src", ""),
        ("postgres_prod", ""),
        ("postgres_default", ""),
        ("backstage", ""),
        ("prod_to_stage", ""),  # its own is among the words
    ],
)
def test_a_word_of_a_connections_name_may_be_another_environment(name: str, other: str) -> None:
    assert of_another(name, "prod", ALL) == other


def test_an_environment_of_two_words_is_known_by_both() -> None:
    assert of_another("postgres_eu_prod", "stage", ALL) in {"prod", "eu-prod"}
    assert of_another("postgres_eu_prod", "eu-prod", ALL) == ""


@pytest.mark.parametrize(
    ("dag", "other"),
    [("flights_stage", "stage"), ("dev-flights", "dev"), ("flights", ""), ("stage", ""), ("load_dev_results", "")],
)
def test_a_dags_id_begins_or_ends_with_it(dag: str, other: str) -> None:
    assert dag_of_another(dag, "prod", ALL) == other


@pytest.mark.parametrize(
    ("label", "other"),
    [("stage", "stage"), ("env:dev", "dev"), ("environment=DEV", "dev"), ("env:prod", ""), ("stage door", "")],
)
def test_a_tag_is_it(label: str, other: str) -> None:
    assert label_of_another(label, "prod", ALL) == other
