"""Dagster from outside: its GraphQL API, without Dagster."""

from lanewise.adapters.orchestrators.dagster.orchestrator import DagsterOrchestrator, open_orchestrator

__all__ = ["DagsterOrchestrator", "open_orchestrator"]
