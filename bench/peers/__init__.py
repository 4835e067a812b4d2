"""What the ledger's committer does a second beside event stores of others, on one Postgres."""
