"""What operators see of the running switch: the log, ladders and captures of calls; metrics when they are built.

Refuses to decide anything: packages above say what happened, this one says how it looks.
"""
