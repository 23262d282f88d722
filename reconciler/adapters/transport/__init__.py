"""Ways to reach a target: one authenticated connection carries commands, files and sockets."""
