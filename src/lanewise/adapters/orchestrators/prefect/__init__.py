"""Prefect 3, spoken to over REST: an environment's live deployment, candidates beside it, their runs.

The environment's ``orchestrator`` connection::

    connections:
      "prefect_{env}":
        type: prefect
        url: "http://127.0.0.1:4200"
        work_pool: lanes                        whose workers run this environment
        user: lane                              where the server asks for a login; or `token: REF`
        password: "env:PREFECT_PASSWORD"
        home: /srv/orders/.lanewise             where the workers find the project, if not where `lane` does
        job_variables: {…}                      added to every deployment's own
"""

from lanewise.adapters.orchestrators.prefect.orchestrator import PrefectOrchestrator, open_orchestrator

__all__ = ["PrefectOrchestrator", "open_orchestrator"]
