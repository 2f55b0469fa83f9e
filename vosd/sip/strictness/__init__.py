"""Rules of a strict peer: what it would refuse of a message that can be read all the same (RFC 3261 section 25).

``Message.problems()`` names it to programs that use the parser as a library. The switch itself reads liberally, and
composes each message anew.
"""
