"""What Alembic runs: the migrations, in the transaction of the connection that it was handed."""

from alembic import context

# SQLite's DDL is transactional once the transaction is begun by hand, which Alembic can't know
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
