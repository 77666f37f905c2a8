#!/bin/sh
# Before the server's own start, where it speaks TLS: its key can be read by whoever starts the containers alone, and the
# server, which runs as a user of its own, takes no key that others may read.
set -eu
install -o postgres -m 0400 /run/secrets/store_key /etc/postgresql.key
exec docker-entrypoint.sh "$@"
