"""The journal: what must survive a crash, on disk before the peers are told.

Files of framed records (``frames``, ``entries``, ``files``) that the switch writes (``journal``), reads back at its
start (``replay``) and keeps for a while (``kept``); and the records that the database refuses (``quarantine``).
"""

from vosd.engine.journal.files import KeepSettings
from vosd.engine.journal.journal import Journal
from vosd.engine.journal.replay import JournalUnusableError, Remains

__all__ = ["Journal", "JournalUnusableError", "KeepSettings", "Remains"]
