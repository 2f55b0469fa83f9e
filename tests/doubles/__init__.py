"""Doubles for tests and benchmarks: a manual clock, a fake wire, peers, a private MariaDB, processes of the switch."""
