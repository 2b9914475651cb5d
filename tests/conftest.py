"""Settings of every test, and the servers that tests share.

Properties are tried without a clock, since the machine may be busy. A server is started once in each test process,
when its first test asks for it, and stopped at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from lanewise.testing.postgres import Server, postgres

settings.register_profile("lanewise", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lanewise")


@pytest.fixture(scope="session")
def postgres15() -> Iterator[Server]:
    with postgres(15) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[Server]:
    with postgres(18) as server:
        yield server


@pytest.fixture(params=[15, 18], ids=["pg15", "pg18"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each generation in turn."""
    found: Server = request.getfixturevalue(f"postgres{request.param}")
    return found
