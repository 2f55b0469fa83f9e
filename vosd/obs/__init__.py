"""What operators see of the running switch: the log today, metrics and ladders when they are built.

Refuses to decide anything: packages above say what happened, this one says how it looks.
"""
