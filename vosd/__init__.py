"""vosd: a SIP softswitch for voice carriers.

Read the packages in the order of ``docs/ARCHITECTURE.md``; follow one call in ``docs/ONE-CALL.md``.
"""

__version__ = "0.1.0"
