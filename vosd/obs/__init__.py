"""Show operators the running switch: the log, ladders and captures of calls.

Decides nothing: other packages report what happened, this one formats it.
"""
