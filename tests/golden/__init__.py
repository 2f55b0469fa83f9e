"""Worked examples, one test each: the vectors of the requirements, the torture messages of the IETF."""
