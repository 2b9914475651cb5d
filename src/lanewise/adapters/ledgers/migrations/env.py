"""What Alembic runs: the migrations, in the transaction of the connection that it was handed, or as a script."""

from alembic import context

if context.is_offline_mode():
    asked = context.config.attributes
    context.configure(
        dialect_name=asked["dialect"], output_buffer=asked["script"], literal_binds=True, transactional_ddl=False
    )
else:
    # SQLite's DDL is transactional once the transaction is begun by hand, which Alembic can't know
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
