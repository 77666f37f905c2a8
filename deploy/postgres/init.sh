#!/bin/sh
# A database and a role for each service, and the key vault. Nobody enters another's database. Passwords come as
# <NAME>_DB_PASSWORD; a missing one ends the script. Run again it makes what is missing and sets the passwords anew.
set -eu

password() {
  eval "printf %s \"\${$(printf %s "$1" | tr a-z A-Z)_DB_PASSWORD:?}\""
}

role() {
  secret=$(password "$1")
  psql --quiet --set ON_ERROR_STOP=1 --set name="$1" --set secret="$secret" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'secret';
SQL
}

for name in account catalog orders payment inventory shipping support vault; do
  role "$name"
  psql --quiet --set ON_ERROR_STOP=1 --set name="$name" <<'SQL'
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# Operators' tools look into every service's store, and write nowhere; the vault is closed to them.
role operations
for name in account catalog orders payment inventory shipping support; do
  psql --quiet --set ON_ERROR_STOP=1 --set name="$name" --dbname "$name" <<'SQL'
GRANT CONNECT ON DATABASE :"name" TO operations;
GRANT USAGE ON SCHEMA public TO operations;
ALTER DEFAULT PRIVILEGES FOR ROLE :"name" IN SCHEMA public GRANT SELECT ON TABLES TO operations;
SQL
done

# Account makes and destroys the keys of personal data, as `vault`; those who only read them are `vault_reader`.
role vault_reader
psql --quiet --set ON_ERROR_STOP=1 --dbname vault <<'SQL'
GRANT CONNECT ON DATABASE vault TO vault_reader;
GRANT USAGE ON SCHEMA public TO vault_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE vault IN SCHEMA public GRANT SELECT ON TABLES TO vault_reader;
SQL
