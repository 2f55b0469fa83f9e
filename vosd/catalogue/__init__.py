"""Desired state: definitions from several sources, checked together, as the one immutable snapshot of the switch.

Read ``source.py`` (what a source provides), then ``assemble.py`` (from sources to the snapshot). Depends on no file
format and no database: their readers provide a ``CatalogueSource``.
"""
