"""The network: what an asker does with many nodes, above the client that speaks with one.

`trust_book` keeps whose reviews the user believes; `reputation` makes scores of evidence (extra `[network]`).
"""
