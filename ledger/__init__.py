"""The write side: commands are decided under a company's lock and appended to its log.

Pure: errors, actors, events, commands, state, known, decisions, workflow, directory, codec.
Shell: database, batch, committer, log, notify. Start reading at `decisions/__init__.py` for
the rules, and at `committer.py` for how a command becomes durable.
"""
