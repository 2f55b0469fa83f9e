"""Desired state: definitions of files and database, checked together, as the one immutable snapshot of the switch.

Read ``source.py`` (what a source provides), then ``assemble.py`` (from definitions to the snapshot). Depends on no file
format and no database: their readers provide a ``CatalogueSource``.
"""
