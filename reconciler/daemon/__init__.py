"""`reconcile run`: follows the repository, watches every target, and tells."""
