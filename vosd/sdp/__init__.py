"""Session descriptions (RFC 8866) as far as the switch reads them; all it changes is addresses behind NAT.

Refuses to know SIP: what comes in is a body, what goes out is a word about it, or the body as it can be reached. More
rewriting finds its place here: in ``b2bua`` all that a side says passes through one function, and all that it is told.
"""
