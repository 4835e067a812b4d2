"""The write side: commands are decided under a company's lock and appended to its log.

Pure: errors, actors, events, commands, state, facts, lookups, known, decisions, workflow,
directory, codec. Shell: database, batch, committer, preview, log, notify. Start reading at
`decisions/__init__.py` for the rules, and at `committer.py` for how a command becomes durable.
"""
