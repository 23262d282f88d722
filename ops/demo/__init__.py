"""The demo: real images of the observer, and a terminal session that deploys them."""
