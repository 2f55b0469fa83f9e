"""Metrics and health of a running switch over HTTP, in a process of its own (ADR 69).

The switch gathers figures when it is asked (``vosd.daemon.metrics``); this package declares them, writes them in the
form of Prometheus and answers HTTP. It does not know how anything is counted.
"""
