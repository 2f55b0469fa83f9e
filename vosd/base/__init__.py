"""Words that every package speaks: time, money, numbers, prefixes, causes, errors.

Refuses to know SIP, databases, configuration and I/O; imports the standard library only.
"""
