"""Use cases of the command line, over storage and the running switch.

Each function takes plain values and returns plain values that fit into JSON. The terminal, HTTP, SQL and configuration
files are handled elsewhere.
"""
