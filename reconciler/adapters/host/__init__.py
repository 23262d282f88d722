"""What is ours on a target: lock, state, releases, keepers, Compose."""
