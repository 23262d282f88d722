"""What operates the project: importable so that the demo and the tests share one builder of demo images."""
