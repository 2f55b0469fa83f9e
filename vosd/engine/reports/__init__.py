"""Reports of the states of calls to an HTTP server of the operator (ADR 74)."""
