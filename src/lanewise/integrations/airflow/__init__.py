"""What runs inside Airflow 3: bundles that hand it the live build and the candidates, a policy, a secrets backend.

``dag_bundle_config_list`` names ``LanewiseBundle`` and ``LanewiseCandidates``, ``[secrets] backend`` and ``[workers]
secrets_backend`` name ``LanewiseSecrets``. Airflow finds the policy by itself, by its entry point. All of them read the
road sign of their environment, so none needs the ledger, the build store or a server of Lanewise.
"""

from __future__ import annotations

from typing import Any

__all__ = ["LanewiseBundle", "LanewiseCandidates", "LanewiseSecrets"]


def __getattr__(name: str) -> Any:
    """Import a class when Airflow asks for it: its settings load the policy of this package before they are whole, and
    the bundles need them whole."""
    if name in {"LanewiseBundle", "LanewiseCandidates"}:
        from lanewise.integrations.airflow import bundle  # noqa: PLC0415 - see above

        return getattr(bundle, name)
    if name == "LanewiseSecrets":
        from lanewise.integrations.airflow import secrets  # noqa: PLC0415 - as above

        return secrets.LanewiseSecrets
    raise AttributeError(name)
