"""Session descriptions (RFC 8866) as far as the switch reads them; it passes them on untouched for now.

Refuses to know SIP: what comes in is a body, what goes out is a word about it. Media rewriting finds its place
here: an offer on its way to the callee and an answer on its way back each pass through one function of ``b2bua``.
"""
