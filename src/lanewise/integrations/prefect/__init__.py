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

__all__ = ["checkout", "pipeline"]


def __getattr__(name: str) -> Any:
    """``checkout`` is the pull step; ``pipeline`` is the user's own flow, loaded anew each time that it is asked for,
    and not before the pull step is through."""
    if name == "checkout":
        from lanewise.integrations.prefect.step import checkout  # noqa: PLC0415 - needs Prefect

        return checkout
    if name == "pipeline":
        from lanewise.integrations.prefect.flow import load  # noqa: PLC0415 - see above

        return load()
    raise AttributeError(name)
