"""Session descriptions (RFC 8866) as far as the switch reads them; it rewrites addresses, direction and origin.

Bodies in, bodies or facts about them out; SIP is not known here. Further rewriting belongs here: ``b2bua`` passes every
description that it receives or sends through one function each.
"""
