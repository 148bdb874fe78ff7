#!/bin/bash
# Backups of both databases, and their way back.
#
#   backup.sh once           into $BACKUP_DIR/TIME; the oldest beyond $BACKUP_KEEP (14) are removed
#   backup.sh restore DIR    from such a folder into databases that `structured-prompt migrate` has made
#   backup.sh loop           once, and again every $BACKUP_EVERY seconds (86400)
#
# DATABASE_URL=postgresql://…, CLICKHOUSE_URL=http://… with user, password, host, port and database; BACKUP_DIR.
# A folder is whole unless its name ends in `.new`. Kafka keeps its topics for 7 days by itself, and Redis holds nothing
# that may not be lost.
set -euo pipefail
umask 077

# ClickHouse over HTTP: the statement is $1, its data, if any, is standard input. The password is in no argument.
ask() {
	curl --silent --show-error --fail-with-body --config <(printf 'user = "%s"\n' "$clickhouse_user") \
		--get --data-urlencode "database=$clickhouse_name" --data-urlencode "query=$1" "${@:2}" "$clickhouse"
}

# every table that holds rows. A view is made by the migration, and a row that is put back into a table passes none:
# nothing is counted twice. What ClickHouse holds of a row that comes twice is one row (ReplacingMergeTree).
tables() {
	ask "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
		AND name != 'schema_versions' ORDER BY name FORMAT TabSeparatedRaw"
}

once() {
	local name new
	name=$(date -u +%Y-%m-%dT%H-%M-%SZ)
	new=$BACKUP_DIR/$name.new
	rm -rf "$BACKUP_DIR"/2*Z.new
	mkdir -p "$new/clickhouse"
	pg_dump --dbname="$DATABASE_URL" --format=custom --no-owner --no-privileges --file="$new/postgres.dump"
	tables > "$new/tables"
	while read -r table; do
		ask "SELECT * FROM \`$table\` FORMAT Native" | gzip > "$new/clickhouse/$table.native.gz"
	done < "$new/tables"
	mv "$new" "$BACKUP_DIR/$name"
	echo "backed up into $BACKUP_DIR/$name, $(du -sk "$BACKUP_DIR/$name" | cut -f1) KiB"
	rotate
}

rotate() {
	local old
	find "$BACKUP_DIR" -mindepth 1 -maxdepth 1 -name '2*Z' | sort -r | tail -n "+$((${BACKUP_KEEP:-14} + 1))" |
		while read -r old; do
			rm -rf "$old"
			echo "removed $old"
		done
}

# All of PostgreSQL, or nothing of it: what is there is replaced in one transaction.
restore() {
	local from=$1 rows
	rows=$(mktemp)
	[ -f "$from/postgres.dump" ] && [ -f "$from/tables" ] || { echo "$from holds no whole backup" >&2; exit 1; }
	# not --clean: it cannot drop the keys of partitions
	{
		echo "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
		pg_restore --no-owner --no-privileges --file=- "$from/postgres.dump"
	} | psql --dbname="$DATABASE_URL" --quiet --no-psqlrc --single-transaction --set=ON_ERROR_STOP=1 > /dev/null
	while read -r table; do
		ask "TRUNCATE TABLE \`$table\`" --request POST
		gzip --decompress --stdout "$from/clickhouse/$table.native.gz" > "$rows"
		[ ! -s "$rows" ] || insert "$table" "$rows"
	done < "$from/tables"
	rm -f "$rows"
	echo "restored $from"
}

# The statement is in the address, so the body is nothing but rows.
insert() {
	local query
	# shellcheck disable=SC2016  # the backquotes are ClickHouse's
	query=$(printf 'INSERT INTO `%s` FORMAT Native' "$1" | sed 's/ /%20/g; s/`/%60/g')
	curl --silent --show-error --fail-with-body --config <(printf 'user = "%s"\n' "$clickhouse_user") \
		--data-binary "@$2" "$clickhouse/?database=$clickhouse_name&query=$query"
}

loop() {
	while true; do
		# a process of its own: `set -e` does not hold inside of a condition
		"$0" once || echo "the backup failed" >&2
		sleep "${BACKUP_EVERY:-86400}" &
		wait $!
	done
}

: "${DATABASE_URL:?postgresql://…}" "${CLICKHOUSE_URL:?http://…}" "${BACKUP_DIR:?a folder}"
rest=${CLICKHOUSE_URL#*://}
clickhouse_user=${rest%@*}
clickhouse=${CLICKHOUSE_URL%%://*}://${rest##*@}
clickhouse_name=${clickhouse##*/}
clickhouse=${clickhouse%/*}
trap 'exit 0' TERM
case ${1:-loop} in
once) once ;;
restore) restore "${2:?the folder of a backup}" ;;
loop) loop ;;
*) echo "backup.sh once | restore DIR | loop" >&2; exit 2 ;;
esac
