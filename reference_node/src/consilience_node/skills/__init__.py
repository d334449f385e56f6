"""Skills: what the node can be asked, between the wire on one side and engine and knowledge on the other."""
