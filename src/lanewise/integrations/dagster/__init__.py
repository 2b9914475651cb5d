"""Dagster runs the build that the road sign names: two code locations, and nothing else in the pipeline's files.

::

    # workspace.yaml
    load_from:
      - python_module: lanewise.integrations.dagster.live
      - python_module: lanewise.integrations.dagster.candidate

``live`` loads the ``Definitions`` in ``definitions.py`` of the live build, from its verified folder; ``candidate``
those of every build that a promotion looks at, each as a repository of its own. A run is begun with
the build that its location has loaded then, and all its processes load that one, whatever the sign says by then.
"""
