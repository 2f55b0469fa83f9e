"""Snapshots of calls, and their restoration; independent of journal and switch.

A snapshot holds strings, numbers, bytes, tuples and frozen structs. Trunks are stored by name: their terms come from
the catalogue of the restoring process. Fields with their default value are left out, so that a usual call is short.
"""
