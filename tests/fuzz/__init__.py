"""Mutated messages: a bounded number in the suite, any number by ``campaign``."""
