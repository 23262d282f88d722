"""The repository on the controller's side, by the git program."""
