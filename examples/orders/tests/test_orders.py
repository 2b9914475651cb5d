"""The build's own tests: they run inside the build, with the settings of the environment that it is to enter."""

import pathlib

import lanewise


def test_guests_have_a_country_of_their_own():
    assert lanewise.current().settings.guest_country not in {"DE", "FR", "NL", "PL"}


def test_the_code_names_no_environment():
    code = pathlib.Path("pipelines/orders.py").read_text()
    assert not [name for name in ("dev", "stage", "prod") if f'"{name}"' in code]
