"""One pass over one target: the only place where decisions meet effects, through `reconciler.ports`."""
