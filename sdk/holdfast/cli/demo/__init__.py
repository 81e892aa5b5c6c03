"""`holdfast demo`: the promises shown on real data, with a daemon and a registry that exist for it alone."""
