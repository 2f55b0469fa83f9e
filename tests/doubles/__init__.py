"""Doubles and processes that only the tests of this tree use; what an embedder needs is in ``vosd.testing``."""
