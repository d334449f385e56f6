"""Following: the registry that the node follows, as the judge plays it, and the node as its follower."""
