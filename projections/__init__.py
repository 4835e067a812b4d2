"""The read side: events in, rows out.

Inline models are written in the command's own transaction, following ones by a projector
afterwards, and any of them is rebuilt from the log by the same code.
"""
