"""Other trackers' files, brought into the ledger through the same `decide` as everything else."""
