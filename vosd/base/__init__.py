"""Basic types of all packages: time, money, numbers, prefixes, causes, errors.

Imports the standard library only; SIP, databases, configuration and I/O are handled elsewhere.
"""
