# usage: observe.sh DEPLOY_DIR
# Reads what is ours, and changes nothing.
observe
