# usage: read_release.sh DEPLOY_DIR RELEASE
# Prints manifest, Compose file, env and the names of the managed files that are there.
release=$2
[ -d "$dir/releases/$release" ] || exit 0
section manifest "$dir/releases/$release/manifest.json"
section compose "$dir/releases/$release/compose.yaml"
section env "$dir/releases/$release/.env"
if [ -d "$own/files" ]; then line files "$(ls -A "$own/files")"; fi
