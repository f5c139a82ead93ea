#!/bin/bash
# SPDX-License-Identifier: ISC
# psql: the scenarios of tests/drivers/scenarios.py.
set -u -o pipefail
export PGAPPNAME=drivers
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@" 2>&1; }
is() { # is WHAT GOT WANTED
    [ "$2" = "$3" ] || { echo "$1: '$(echo "$2" | head -c 200)' instead of '$(echo "$3" | head -c 80)'"; return 1; }
}

connect() { is user "$(sql -c "SELECT current_user || ' ' || current_setting('application_name')")" "$PGUSER drivers"; }

parameters() {
    is values "$(printf "SELECT :'v'::text, :n + 1, :'v' IS NULL;\n" | sql -v v="ü'\"\\" -v n=41)" "ü'\"\\|42|f"
}

settings() {
    local one="SELECT current_setting('work_mem'), current_setting('TimeZone');" want="" in="SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo';" i
    for i in 1 2 3 4 5 6 7 8; do in+=$'\n'"$one"; want+="7MB|Asia/Tokyo"$'\n'; done
    is "followed" "$(sql <<<"$in")" "${want%$'\n'}"
}

prepared() {
    local in=$'PREPARE a(int) AS SELECT $1 + 1;\nPREPARE b(text) AS SELECT $1 || \'x\';\n' want="" i
    for i in $(seq 1 20); do in+="EXECUTE a($i);"$'\n'"EXECUTE b('v$i');"$'\n'; want+="$((i + 1))"$'\n'"v${i}x"$'\n'; done
    is "executed" "$(sql <<<"$in")" "${want%$'\n'}" || return
    is "deallocated" "$(sql <<<$'PREPARE a AS SELECT 1;\nDEALLOCATE a;\n\\set ON_ERROR_STOP 0\nEXECUTE a;\n\\echo :SQLSTATE' | tail -1)" 26000
}

batch() {
    is "all results" "$(sql <<<$'SELECT 1\\; SELECT 2\\; SELECT 3;')" $'1\n2\n3' || return
    is "error in the middle" "$(sql -v ON_ERROR_STOP=0 <<<$'SELECT 1\\; SELECT 1/0\\; SELECT 3;\n\\echo :SQLSTATE\nSELECT 4;' | grep -v ERROR)" $'1\n22012\n4'
}

transactions() {
    is "isolation, rollback, savepoint" "$(sql <<'X'
BEGIN ISOLATION LEVEL SERIALIZABLE;
SHOW transaction_isolation;
INSERT INTO items (name, n) VALUES ('gone', 1);
ROLLBACK;
BEGIN;
INSERT INTO items (name, n) VALUES ('kept', 1);
SAVEPOINT s;
INSERT INTO items (name, n) VALUES ('undone', 1);
ROLLBACK TO s;
COMMIT;
SELECT string_agg(name, ',') FROM items WHERE name IN ('gone', 'kept', 'undone');
DELETE FROM items;
X
    )" $'serializable\nkept' || return
    is "failed transaction" "$(sql -v ON_ERROR_STOP=0 <<<$'BEGIN;\nSELECT 1/0;\nSELECT 1;\n\\echo :SQLSTATE\nROLLBACK;\nSELECT 5;' | grep -v ERROR)" $'25P02\n5'
}

cursor() { is "rows" "$(sql -v FETCH_COUNT=100 -c "SELECT 'never'" -c "SELECT g FROM generate_series(1, 1000) g" | tail -n +2 | md5sum)" "$(seq 1 1000 | md5sum)"; }

copy() {
    is "in and out" "$( (echo '\copy copied from stdin'; seq -f $'%g\trow' 1 1000; echo '\.'; echo '\copy (SELECT a FROM copied ORDER BY a) to stdout'; echo 'DELETE FROM copied;') | sql | md5sum)" \
        "$(seq 1 1000 | md5sum)" || return
    is "a bad row" "$(sql -v ON_ERROR_STOP=0 <<<$'\\copy copied from stdin\nrubbish\trow\n\\.\nSELECT count(*) FROM copied;' | grep -v CONTEXT)" $'ERROR:  invalid input syntax for type integer: "rubbish"\n0'
}

cancel() {
    local out pid
    out=$(mktemp)
    psql -XqAt -c "SELECT pg_sleep(60)" >"$out" 2>&1 &
    pid=$!
    until is running "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)' AND datname = current_database()")" 1 >/dev/null; do :; done
    kill -INT $pid
    wait $pid
    is "canceled" "$(cat "$out"; rm -f "$out")" $'Cancel request sent\nERROR:  canceling statement due to user request'
}

notices() { is "notice" "$(sql -c "SELECT loud('psql')")" $'NOTICE:  hear psql\npsql'; }

notify() { is "notification" "$(sql <<<$'LISTEN chan;\nNOTIFY chan, \'hello\';\nSELECT 1;' | sed 's/PID [0-9]*/PID/')" $'Asynchronous notification "chan" with payload "hello" received from server process with PID.\n1'; }

large() {
    is "10 MB" "$(sql -c "SELECT repeat('x', 10000000)" | wc -c)" 10000001 || return
    is "a query of 5 MB" "$( (printf "SELECT length('"; head -c 5000000 /dev/zero | tr '\0' y; echo "');") | sql)" 5000000 || return
    is "50000 rows" "$(sql -c "SELECT g FROM generate_series(1, 50000) g" | wc -l)" 50000
}

errors() {
    is "codes" "$(sql -v ON_ERROR_STOP=0 <<'X' | grep -vE 'ERROR|LINE|\^|DETAIL'
SELEKT;
\echo :SQLSTATE
INSERT INTO items (name) VALUES ('twice'), ('twice');
\echo :SQLSTATE
SELECT 1/0;
\echo :SQLSTATE
SELECT 6;
X
    )" $'42601\n23505\n22012\n6' || return
    is "timeout" "$(sql -v ON_ERROR_STOP=0 <<<$'SET statement_timeout = 100;\nSELECT pg_sleep(60);\n\\echo :SQLSTATE\nRESET statement_timeout;\nSELECT 7;' | grep -v ERROR)" $'57014\n7'
}

ddl() {
    sql -c "CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)" || return
    is "after ALTER TABLE" "$(sql -v ON_ERROR_STOP=0 <<<$'PREPARE w AS SELECT * FROM wide;\nEXECUTE w;\nALTER TABLE wide ADD b int DEFAULT 2;\nEXECUTE w;\n\\echo :SQLSTATE\nDEALLOCATE w;\nPREPARE w AS SELECT * FROM wide;\nEXECUTE w;' | grep -vE '0A000|00000|ERROR' | uniq)" $'1\n1|2'
}

session() {
    is "temporary table, cursor, lock" "$(sql <<'X'
CREATE TEMP TABLE mine (a int);
INSERT INTO mine VALUES (8);
SELECT a FROM mine;
DROP TABLE mine;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3);
COMMIT;
FETCH 2 FROM h;
FETCH 2 FROM h;
CLOSE h;
SELECT pg_try_advisory_lock(77);
\! psql -XqAt -c 'SELECT pg_try_advisory_lock(77)'
SELECT pg_advisory_unlock(77);
\! psql -XqAt -c 'SELECT pg_try_advisory_lock(77), pg_advisory_unlock(77)'
X
    )" $'8\n1\n2\n3\nt\nf\nt\nt|t'
}

reconnect() {
    is "terminated" "$(sql -c "SELECT pg_terminate_backend(pg_backend_pid())" | head -1)" "FATAL:  terminating connection due to administrator command" || return
    is "anew" "$(sql <<<$'SELECT 9;\n\\connect\nSELECT 10;')" $'9\n10'
}

servers() { info=$(for i in $(seq 1 30); do echo "SELECT pg_backend_pid();"; done | sql | sort -u | wc -l); }

for name in "$@"; do
    info=""
    if out=$(declare -f "$name" >/dev/null || { echo "no such scenario"; exit 1; }; "$name" && printf '\1%s' "$info"); then
        printf '%s\tok\t%s\n' "$name" "${out##*$'\1'}"
    else
        printf '%s\tFAIL\t%s\n' "$name" "${out//[$'\n\t']/ }"
    fi
done
