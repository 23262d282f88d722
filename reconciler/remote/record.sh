# usage: record.sh DEPLOY_DIR RUN BYTES   (the record on standard input)
mkdir -p "$own/records"
put "$own/records/$2.md" 0444 "$3"
