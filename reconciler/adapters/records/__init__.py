"""Run records on the controller's side: Markdown for people, a YAML block for machines, git for keeping."""
