"""Airflow's cluster policy for the DAGs of Lanewise's bundles."""
