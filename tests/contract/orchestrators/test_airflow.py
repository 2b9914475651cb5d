"""The story of every orchestrator, on a real Airflow 3."""

from __future__ import annotations

import pytest

from lanewise.testing.orchestrator_story import OrchestratorStory

from .airflow.airflow_stand import AirflowStand


@pytest.mark.slow
class TestAirflow(OrchestratorStory):
    @pytest.fixture
    def stand(self) -> AirflowStand:
        return AirflowStand()
