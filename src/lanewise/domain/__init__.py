"""The nouns, and the ports through which the rooms act. Standard library only; everything is frozen.

Read in this order: ``project`` and ``environment`` (the two files), ``build``, ``partition`` and
``publication`` (what a table is), ``run``, ``evidence``, ``comparison``, ``plan``, ``promotion``,
``event`` (the ledger's lines), then ``ports``.
"""
