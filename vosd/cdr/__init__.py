"""What is remembered of a call: one record, its attempts and its columns.

Refuses to know how a call came about (b2bua), what it costs (billing computes, this stores) and databases.
"""
