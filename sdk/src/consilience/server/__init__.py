"""The server toolkit: everything a node needs but the engine."""
