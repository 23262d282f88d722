"""Ways to tell people: Apprise, in a process of its own."""
