"""Comments on the pull or merge request that a CI job runs for."""
