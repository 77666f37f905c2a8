#!/bin/sh
# Runs once, on an empty PostgreSQL: a database and a role for each service, and the key vault. Nobody enters
# another's database. Passwords come as <NAME>_DB_PASSWORD; a missing one ends the script.
set -eu

password() {
  eval "printf %s \"\${$(printf %s "$1" | tr a-z A-Z)_DB_PASSWORD:?}\""
}

for name in account catalog orders payment inventory shipping support vault; do
  secret=$(password "$name")
  psql --quiet --set ON_ERROR_STOP=1 --set name="$name" --set secret="$secret" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'secret';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# Operators' tools look into every service's store, and write nowhere; the vault is closed to them.
secret=$(password operations)
psql --quiet --set ON_ERROR_STOP=1 --set secret="$secret" <<'SQL'
CREATE ROLE operations LOGIN PASSWORD :'secret';
SQL
for name in account catalog orders payment inventory shipping support; do
  psql --quiet --set ON_ERROR_STOP=1 --set name="$name" --dbname "$name" <<'SQL'
GRANT CONNECT ON DATABASE :"name" TO operations;
GRANT USAGE ON SCHEMA public TO operations;
ALTER DEFAULT PRIVILEGES FOR ROLE :"name" IN SCHEMA public GRANT SELECT ON TABLES TO operations;
SQL
done

# Account makes and destroys the keys of personal data, as `vault`; those who only read them are `vault_reader`.
secret=$(password vault_reader)
psql --quiet --set ON_ERROR_STOP=1 --set secret="$secret" --dbname vault <<'SQL'
CREATE ROLE vault_reader LOGIN PASSWORD :'secret';
GRANT CONNECT ON DATABASE vault TO vault_reader;
GRANT USAGE ON SCHEMA public TO vault_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE vault IN SCHEMA public GRANT SELECT ON TABLES TO vault_reader;
SQL
