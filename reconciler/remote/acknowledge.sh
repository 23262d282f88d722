# usage: acknowledge.sh DEPLOY_DIR   (always fenced)
# What the host did alone is on record now.
rm -rf "$own/watchdog/outcome"
durable "$own/watchdog"
