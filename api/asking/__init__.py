"""Queries over HTTP: what each asks of the read models, and how it shows what it finds."""
