"""Alarms of the running switch: what is measured for them, and who receives them (ADR 70)."""
