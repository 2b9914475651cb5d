"""The warehouse on PostgreSQL: versions are tables, the published map is rows, one pointer is what readers follow."""
