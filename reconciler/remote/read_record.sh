# usage: read_record.sh DEPLOY_DIR RUN
section record "$own/records/$2.md"
