"""What every SQL engine measures in the same way: data checks, paired comparison, distances. An ``Engine`` says how."""
