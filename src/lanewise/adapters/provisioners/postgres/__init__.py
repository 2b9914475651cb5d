"""Rights on PostgreSQL: what is declared, what the catalogs say, the difference, and the statements that mend it."""
