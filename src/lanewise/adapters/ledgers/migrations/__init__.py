"""The ledger's schema, one migration after another (Alembic)."""
