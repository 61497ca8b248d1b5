#!/bin/sh
# Run once by the postgres image on an empty volume: the database, and its owner, who is no superuser.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set password="$CARREL_DATABASE_PASSWORD" <<'SQL'
create role carrel_owner login createrole createdb password :'password';
create database carrel owner carrel_owner;
SQL
