"""Journal: what must survive a crash is written here before the peers get their answer.

The switch writes files of framed records (``frames``, ``entries``, ``files``, ``journal``), reads them at its start
(``replay``) and keeps them for a while (``kept``). Records that the database refuses are in the ``quarantine``.
"""

from vosd.cdr.retention import KeepSettings
from vosd.engine.journal.journal import Journal
from vosd.engine.journal.replay import JournalUnusableError, Remains

__all__ = ["Journal", "JournalUnusableError", "KeepSettings", "Remains"]
