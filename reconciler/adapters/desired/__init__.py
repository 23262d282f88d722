"""Desired state: deploy.yaml and the files it refers to."""
