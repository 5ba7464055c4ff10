"""The audit log: record changes, chain and seal the records, and query them (docs/adr/016)."""
