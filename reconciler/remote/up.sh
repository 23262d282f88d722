# usage: up.sh DEPLOY_DIR file|stdin SERVICE...   (stdin: the model on standard input, where a release holds no values)
# Compose for the services that changed, exactly as a person would call it in this directory.
model=$2
shift 2
cd "$dir"
if [ "$model" = stdin ]; then
    compose --project-directory "$dir" -f - up -d --no-deps --no-build --pull never "$@"
else
    compose up -d --no-deps --no-build --pull never "$@"
fi
