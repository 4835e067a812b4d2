"""What the ledger costs, measured on the machine at hand."""
