"""Control protocol: typed orders to the running switch, and its typed results, over a unix socket.

Both sides import it: ``server`` belongs to the daemon, ``client`` to every program that gives orders. An order is a
struct that names the type of its result; the modules that define orders hold no rules (ADR 102).
"""
