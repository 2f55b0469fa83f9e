"""YAML files to settings and catalogue: every scalar read as text, every mistake named by file and line.

Read ``load.py`` first: it is the order of the steps. Refuses to know sockets, databases and live calls.
"""
