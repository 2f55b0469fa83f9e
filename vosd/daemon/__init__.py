"""The process: creates the parts and connects them, starts them in order, stops them without losing a call.

The only package that wires the others. Calls, SQL and YAML are handled elsewhere.
"""
