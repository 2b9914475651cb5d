"""Airflow 3, from outside: its REST API serves candidates, starts and follows runs, and changes the live build over.

What runs inside Airflow is ``lanewise.integrations.airflow``; the two agree on the DAGs' names and tags, and on what a
run is sent (``conf``). Nothing here imports Airflow.
"""

from __future__ import annotations

from lanewise.adapters.orchestrators.airflow.orchestrator import AirflowOrchestrator, open_orchestrator

__all__ = ["AirflowOrchestrator", "open_orchestrator"]
