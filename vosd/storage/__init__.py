"""The database: one schema, transactions of whole calls, the same ports over memory, SQLite and MariaDB.

The only package that speaks SQL. Refuses to know calls in progress, rates and routing.
"""
