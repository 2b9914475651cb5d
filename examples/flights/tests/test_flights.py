"""The build's own tests: they run inside the verified build, in the environment it is to enter."""

import pathlib

import lanewise


def test_the_lane_says_when_a_flight_is_late():
    assert lanewise.current().settings.late_after_minutes > 0


def test_the_code_names_no_environment():
    code = "".join(f.read_text() for f in pathlib.Path(__file__).parents[1].joinpath("pipelines").glob("*.py"))
    assert not any(f"'{name}'" in code or f'"{name}"' in code for name in ("dev", "stage", "prod"))
