"""Settings of every test: properties are tried without a clock, since the machine may be busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("lanewise", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lanewise")
