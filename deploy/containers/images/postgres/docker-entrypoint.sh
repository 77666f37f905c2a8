#!/bin/bash
# What the official image does at a start, as far as we use it: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each by
# _FILE too), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, and the scripts in /docker-entrypoint-initdb.d.
set -eo pipefail
umask 077

secret() { # NAME DEFAULT: the variable, or what the file named by NAME_FILE holds
  local file="$1_FILE"
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-$2}"; fi
}

if [ "$1" != postgres ]; then
  exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres "$PGDATA"
  chown postgres /var/run/postgresql
  chmod 700 "$PGDATA"
  exec gosu postgres "${BASH_SOURCE[0]}" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  POSTGRES_USER=$(secret POSTGRES_USER postgres)
  POSTGRES_PASSWORD=$(secret POSTGRES_PASSWORD "")
  POSTGRES_DB=$(secret POSTGRES_DB "$POSTGRES_USER")
  if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo "Error: the database is new and POSTGRES_PASSWORD is not set" >&2
    exit 1
  fi
  # The arguments come as one word, and may hold quotes.
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}" >> "$PGDATA/pg_hba.conf"

  # While it is made ready it listens on its socket only, so that nobody finds it half made.
  PGPASSWORD=$POSTGRES_PASSWORD pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${@:2}") -c listen_addresses='' -p 5432" -w start
  export PGPASSWORD=$POSTGRES_PASSWORD
  run() { psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"; }
  if [ "$POSTGRES_DB" != postgres ]; then
    run --dbname postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) run --dbname "$POSTGRES_DB" -f "$file" ;;
      *.sql.gz) gunzip -c "$file" | run --dbname "$POSTGRES_DB" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
fi
exec "$@"
