# SPDX-License-Identifier: ISC
"""The scenarios that each program runs, by name, and what the programs find in their database."""

SCENARIOS = {
    "connect": "log in by SCRAM; current_user, application_name and reported parameters are the client's own",
    "parameters": "values of the usual types, NULL and bytes there and back",
    "settings": "SET work_mem, TimeZone and client_encoding hold for the transactions that follow",
    "prepared": "two prepared statements run twenty times in turn, past the driver's threshold; what is deallocated is gone",
    "batch": "pipeline, batch or many statements in one query; an error in the middle is told, and the connection goes on",
    "transactions": "isolation level, COMMIT, ROLLBACK, savepoint, 25P02 in a failed transaction",
    "cursor": "1000 rows in portions of 100",
    "copy": "COPY in and out, and one that fails",
    "cancel": "the driver's own way to cancel a query: 57014, then on",
    "notices": "RAISE NOTICE arrives",
    "notify": "LISTEN, and a NOTIFY of another connection",
    "large": "a value of 10 MB, 50,000 rows",
    "errors": "SQLSTATE of a syntax error, a unique violation, a division by zero and statement_timeout",
    "ddl": "a prepared SELECT * while a column is added: the new column, or errors as on a direct connection and then the new column",
    "session": "temporary table, cursor WITH HOLD, session advisory lock",
    "reconnect": "the server process is terminated: an error, and a new connection works",
    "servers": "thirty transactions; the number tells on how many server processes they ran",
}

# What these do is kept in a server's session and pins the client; nothing else may.
PINNING = ("notify", "session")

SCHEMA = """
CREATE TABLE items (id serial PRIMARY KEY, name text UNIQUE, n int);
CREATE TABLE copied (a int, b text);
CREATE FUNCTION loud(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hear %', what; RETURN what; END $$;
"""
