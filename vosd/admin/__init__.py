"""Use cases for people: what the command line does, over storage and the running switch.

Each function takes plain values and returns plain values that fit into JSON. Refuses to know click, HTTP, SQL
and the configuration's files.
"""
