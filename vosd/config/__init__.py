"""YAML files to settings and to a source of the catalogue: values are read as text, mistakes named by file and line.

Read ``load.py`` first: it has the steps in order. ``reader`` turns text into values that know their place, ``keys`` has
one section of the file a module, ``assembly`` makes settings and definitions of them. No sockets, databases or calls.
"""
