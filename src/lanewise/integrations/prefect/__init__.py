"""What runs inside Prefect 3: a deployment's pull step, and the flow that its entrypoint loads.

``lane`` writes both into the deployments that it posts; nobody has to type them::

    pull_steps:
      - lanewise.integrations.prefect.checkout: {environment: prod, entry: "pipelines/flow.py:flights", …}
    entrypoint: lanewise.integrations.prefect.pipeline

Since Prefect 3.8 the pull step runs in another process than the flow, which gets its variables and its working
directory. So what the one finds out reaches the other by variables alone (``lanewise.integrations.prefect.word``).
"""

from __future__ import annotations

from typing import Any

from lanewise.integrations.prefect.step import checkout

__all__ = ["checkout"]


def __getattr__(name: str) -> Any:
    """``pipeline`` is the user's own flow, loaded when Prefect asks for it: not before the pull step is through."""
    if name != "pipeline":
        raise AttributeError(name)
    from lanewise.integrations.prefect.flow import load  # noqa: PLC0415 - see above

    return load()
