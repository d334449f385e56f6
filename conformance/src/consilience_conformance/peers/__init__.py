"""Peers that keep no manners: what the judge puts opposite a node or an SDK because no library would behave so."""
