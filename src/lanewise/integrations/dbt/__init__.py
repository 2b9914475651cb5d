"""What is laid beside a dbt project's run copy: ``package`` is a dbt package, ``postgres`` holds macros for the project
itself. dbt reads them; nothing here is imported, and dbt's own environment needs no Lanewise.

``package``: hooks that open a run's room (inputs behind the project's sources) and hand over its tables at the end.
``postgres``: names and comments that put everything of a run into its room in the database.
"""
