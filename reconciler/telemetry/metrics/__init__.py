"""The metrics: what they are called (registry), what counts into them (sample, counting), and how they are shown.

One registry for both worlds: the daemon's /metrics (`reconciler.telemetry.live`) and the textfile of `--once`. A label
is a word from a short list or a name from deploy.yaml; never a tag, an id, a commit or a message.
"""
