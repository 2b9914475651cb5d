"""A bundle that does not drain, to show what the other one does it for. Runs inside Airflow."""

from __future__ import annotations

from lanewise.integrations.airflow.bundle import LanewiseBundle


class UndrainedBundle(LanewiseBundle):
    """Moves as soon as it sees that the sign has moved, as a plain bundle does."""

    def _drain(self) -> None:
        """Lets nothing end."""
