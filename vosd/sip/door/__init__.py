"""The way out of a leg: messages as data, and the door at which they may wait (ADR 116, ADR 117)."""
