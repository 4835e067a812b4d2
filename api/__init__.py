"""The edge: HTTP, the command line, importers. The only wiring is in `wiring.py`."""
