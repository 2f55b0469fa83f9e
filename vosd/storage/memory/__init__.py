"""The database's ports in memory: for tests and trials, gone with the process.

Keeps to the same contract as MySQL and SQLite (``tests/contract``), what is cut and what is refused included.
"""

from vosd.storage.memory.lease import MemoryLease
from vosd.storage.memory.registrations import MemoryRegistrations
from vosd.storage.memory.store import MemoryStore

__all__ = ["MemoryLease", "MemoryRegistrations", "MemoryStore"]
