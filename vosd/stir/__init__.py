"""Signed calls (STIR and SHAKEN): tokens, keys, certificates, and what is believed of a signature."""
