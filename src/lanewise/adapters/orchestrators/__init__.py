"""What carries a run out."""
