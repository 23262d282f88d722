# usage: observe.sh DEPLOY_DIR audit|brief WRITABLE...
# Reads what is ours, and changes nothing. "brief" leaves out the audit of the managed files.
how=$2
shift 2
if [ "$how" = audit ]; then observe audit "" "$@"; else observe; fi
