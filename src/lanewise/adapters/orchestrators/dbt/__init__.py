"""dbt as an orchestrator: its own command line, in its own virtual environment, run for one launch at a time."""

from lanewise.adapters.orchestrators.dbt.orchestrator import open_orchestrator

__all__ = ["open_orchestrator"]
