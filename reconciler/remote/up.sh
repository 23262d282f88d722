# usage: up.sh DEPLOY_DIR SERVICE...
# Compose for the services that changed, exactly as a person would call it in this directory.
shift
cd "$dir"
compose up -d --no-deps --no-build --pull never "$@"
