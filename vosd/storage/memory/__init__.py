"""The database's ports in memory, for tests and trials.

Holds the same contract as MySQL and SQLite (``tests/contract``): the same text is cut, the same values are refused.
"""

from vosd.storage.memory.lease import MemoryLease
from vosd.storage.memory.overrides import MemoryOverrides
from vosd.storage.memory.registrations import MemoryRegistrations
from vosd.storage.memory.store import MemoryStore

__all__ = ["MemoryLease", "MemoryOverrides", "MemoryRegistrations", "MemoryStore"]
