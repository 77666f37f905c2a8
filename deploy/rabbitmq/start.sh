#!/bin/sh
# Before the broker's own start: its users with their rights (definitions.json), each with the password that comes as
# <NAME>_BROKER_PASSWORD; a missing one ends the script. At every start, so that a changed password counts from then on.
set -eu
umask 077
folder=/etc/rabbitmq/caravan
install -d -m 0700 "$folder"
awk '{
  while (match($0, /@[A-Z_]+@/)) {
    name = substr($0, RSTART + 1, RLENGTH - 2)
    if (ENVIRON[name] !~ /^[A-Za-z0-9_-]+$/) { print name ": missing, or not letters and digits" > "/dev/stderr"; exit 1 }
    $0 = substr($0, 1, RSTART - 1) ENVIRON[name] substr($0, RSTART + RLENGTH)
  }
  print
}' /etc/caravan/definitions.json > "$folder/definitions.json"
# The key can be read by whoever starts the containers alone; the broker runs as a user of its own.
if [ -e /run/secrets/broker_key ]; then
  cp /run/secrets/broker_key "$folder/key.pem"
fi
chown -R rabbitmq "$folder"
exec docker-entrypoint.sh "$@"
