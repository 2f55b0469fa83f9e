"""Header fields as value types, one in each file, parsed from the text of a message on demand.

A text that cannot be read raises ``ParseError``: with 400, unless the docstring says more.
"""
