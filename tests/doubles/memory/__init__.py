"""The database's ports in memory, for tests and trials.

Holds the same contract as MySQL and SQLite (``tests/contract``): the same text is cut, the same values are refused.
"""

from doubles.memory.lease import MemoryLease
from doubles.memory.overrides import MemoryOverrides
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore, store_with

__all__ = ["MemoryLease", "MemoryOverrides", "MemoryRegistrations", "MemoryStore", "store_with"]
