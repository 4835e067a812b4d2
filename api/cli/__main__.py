"""`python -m api.cli` is `ledger`."""

from api.cli import main

main()
