"""What runs inside Airflow 3: bundles that hand it the live build and the candidates, a policy, a secrets backend."""
