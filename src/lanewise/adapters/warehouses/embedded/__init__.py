"""The embedded warehouse: Parquet versions, and a small DuckDB file of views that is swapped by one rename."""

from lanewise.adapters.warehouses.embedded.warehouse import EmbeddedWarehouse, open_warehouse

__all__ = ["EmbeddedWarehouse", "open_warehouse"]
