"""Doubles that ship with vosd: a manual clock, a fake wire, user agents, a private MariaDB, a scratch daemon.

May import everything; nothing of the product imports it.
"""
