"""The database: one schema, transactions of whole calls, the same ports over memory, SQLite and MariaDB.

The only package with SQL. It does not know calls in progress, rates and routing.
"""
