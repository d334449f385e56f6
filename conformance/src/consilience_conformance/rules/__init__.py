"""Rules: what the specification says of messages that a node sends, as pure functions that yield findings."""
