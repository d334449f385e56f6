"""The judge of clients: an SDK is driven through a small adapter and meets hostile nodes (docs/guides)."""
