"""Messages of a leg, from their headers to the moment at which they leave (ADR 116).

Composes headers, and lets messages leave in order. It does not know the state of the call.
"""
