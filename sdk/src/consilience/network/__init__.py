"""The network: what an asker does with many nodes, above the client that speaks with one.

`trust_book` keeps whose reviews the user believes; `review_evidence` makes evidence of reviews, and `reputation` makes
scores of it (extra `[network]`).
"""
