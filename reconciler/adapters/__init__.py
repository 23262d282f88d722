"""The outside world: one owner module for each library or program. Implements `reconciler.ports`."""
