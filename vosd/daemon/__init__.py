"""The process: introduces the parts to each other, starts them in order, stops them without losing a call.

The only package that wires. Refuses to decide calls, to speak SQL and to parse YAML.
"""
