"""What is told about runs."""
