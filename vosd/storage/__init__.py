"""The database: one schema, transactions of whole calls, the same ports over memory, SQLite and MariaDB.

The only package with SQL. It does not know calls in progress, rates and routing.

Every function that reads or writes raises ``StoreUnavailable`` where the database is away, locked or too slow: try the
same again. Of a write, probably nothing was changed then. A docstring names the error only where more follows from it.
"""
