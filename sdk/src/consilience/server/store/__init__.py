"""Answer stores: one contract, in memory for the core profile and in SQLite for the profile *durable*."""
