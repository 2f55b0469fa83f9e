"""Doubles that ship with vosd: a manual clock, a fake wire, user agents, a private MariaDB, a scratch daemon.

For those who embed vosd or write trunks against it, and for the tests and benchmarks of this tree. What the tests alone
use is in ``tests/doubles``. May import everything; nothing of the product imports it.
"""
