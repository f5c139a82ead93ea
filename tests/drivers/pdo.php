<?php
// SPDX-License-Identifier: ISC
// pdo.php - PHP's PDO_pgsql: the scenarios of scenarios.py. VARIANT 'emulate': prepared statements are made by the driver.
class NotSupported extends Exception {}

function open(): PDO {
    $dsn = sprintf("pgsql:host=%s;port=%s;dbname=%s;application_name=drivers;sslmode=disable", getenv("PGHOST"), getenv("PGPORT"), getenv("PGDATABASE"));
    return new PDO($dsn, getenv("PGUSER"), getenv("PGPASSWORD"),
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => getenv("VARIANT") === "emulate"]);
}

function check($got, $want): void {
    if ($got !== $want)
        throw new Exception(substr(var_export($got, true), 0, 200) . " instead of " . substr(var_export($want, true), 0, 80));
}

function one(PDO $c, string $sql, array $values = []) {
    $s = $c->prepare($sql);
    $s->execute($values);
    return $s->fetchColumn();
}

function code(callable $f): string {
    try {
        $f();
    } catch (PDOException $e) {
        return (string) ($e->errorInfo[0] ?? $e->getCode());
    }
    throw new Exception("no error");
}

$scenarios = [
    "connect" => function (PDO $c) {
        check(one($c, "SELECT current_user"), getenv("PGUSER"));
        check(one($c, "SHOW application_name"), "drivers");
    },
    "parameters" => function (PDO $c) {
        for ($i = 0; $i < 3; $i++) {
            $all = implode("", array_map("chr", range(0, 255)));
            $s = $c->prepare("SELECT ?::text AS t, ?::int AS i, ?::bigint AS b, ?::text AS n, ?::bool AS y, ?::bytea AS raw");
            $s->bindValue(1, "ü'\"\\");
            $s->bindValue(2, 42, PDO::PARAM_INT);
            $s->bindValue(3, 1 << 40, PDO::PARAM_INT);
            $s->bindValue(4, null, PDO::PARAM_NULL);
            $s->bindValue(5, true, PDO::PARAM_BOOL);
            $s->bindValue(6, $all, PDO::PARAM_LOB);
            $s->execute();
            $r = $s->fetch(PDO::FETCH_ASSOC);
            check([$r["t"], $r["i"], $r["b"], $r["n"], $r["y"], stream_get_contents($r["raw"]) === $all], ["ü'\"\\", 42, 1 << 40, null, true, true]);
        }
    },
    "settings" => function (PDO $c) {
        $c->exec("SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'");
        for ($i = 0; $i < 10; $i++)
            check([one($c, "SHOW work_mem"), one($c, "SHOW TimeZone")], ["7MB", "Asia/Tokyo"]);
    },
    "prepared" => function (PDO $c) {
        $a = $c->prepare("SELECT ?::int + 1");
        $b = $c->prepare("SELECT ?::text || 'x'");
        for ($i = 0; $i < 20; $i++) {
            $a->execute([$i]);
            $b->execute([(string) $i]);
            check([$a->fetchColumn(), $b->fetchColumn()], [$i + 1, "{$i}x"]);
        }
        $a = null; // the driver deallocates by SQL
        $b->execute(["y"]);
        check($b->fetchColumn(), "yx");
    },
    "batch" => function (PDO $c) {
        $c->exec("INSERT INTO items (name) VALUES ('b1'); INSERT INTO items (name) VALUES ('b2')");
        check(code(fn() => $c->exec("INSERT INTO items (name) VALUES ('b3'); SELECT 1/0")), "22012");
        check($c->exec("DELETE FROM items"), 2);
    },
    "transactions" => function (PDO $c) {
        $c->exec("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        $c->beginTransaction();
        check(one($c, "SHOW transaction_isolation"), "serializable");
        $c->exec("INSERT INTO items (name) VALUES ('kept')");
        $c->exec("SAVEPOINT s");
        $c->exec("INSERT INTO items (name) VALUES ('undone')");
        $c->exec("ROLLBACK TO s");
        $c->commit();
        $c->beginTransaction();
        $c->exec("INSERT INTO items (name) VALUES ('gone')");
        check([code(fn() => one($c, "SELECT 1/0")), code(fn() => one($c, "SELECT 1"))], ["22012", "25P02"]);
        $c->rollBack();
        check(one($c, "SELECT string_agg(name, ',') FROM items"), "kept");
        check($c->exec("DELETE FROM items"), 1);
    },
    "cursor" => function (PDO $c) {
        $c->beginTransaction();
        $s = $c->prepare("SELECT generate_series(1, 1000)", [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]); // DECLARE ... SCROLL CURSOR WITH HOLD by the driver
        $s->execute();
        $total = 0;
        while (($r = $s->fetch(PDO::FETCH_NUM)) !== false)
            $total += $r[0];
        check($total, 500500);
        $s = null;
        $c->commit();
    },
    "copy" => function (PDO $c) {
        check($c->pgsqlCopyFromArray("copied", array_map(fn($i) => "$i\trow", range(1, 1000))), true);
        check(count($c->pgsqlCopyToArray("copied")), 1000);
        check(code(fn() => $c->pgsqlCopyFromArray("copied", ["rubbish\trow"])), "22P02");
        check($c->exec("DELETE FROM copied"), 1000);
    },
    "cancel" => fn() => throw new NotSupported("PDO has no way to cancel"),
    "notices" => fn() => throw new NotSupported("PDO does not show notices before PHP 8.4"),
    "notify" => function (PDO $c) {
        $c->exec("LISTEN chan");
        open()->exec("NOTIFY chan, 'hello'");
        $got = $c->pgsqlGetNotify(PDO::FETCH_ASSOC, 10000);
        check([$got["message"], $got["payload"]], ["chan", "hello"]);
        $c->exec("UNLISTEN chan");
    },
    "large" => function (PDO $c) {
        $text = str_repeat("x", 10000000);
        check(one($c, "SELECT ?::text", [$text]) === $text, true);
        check(count($c->query("SELECT generate_series(1, 50000)")->fetchAll()), 50000);
    },
    "errors" => function (PDO $c) {
        check([code(fn() => one($c, "SELEKT")), code(fn() => one($c, "INSERT INTO items (name) VALUES ('twice'), ('twice')")),
            code(fn() => one($c, "SELECT 1/0"))], ["42601", "23505", "22012"]);
        $c->exec("SET statement_timeout = 100");
        check(code(fn() => one($c, "SELECT pg_sleep(60)")), "57014");
        check(one($c, "SELECT 1"), 1);
    },
    "ddl" => function (PDO $c) {
        $other = open();
        $c->exec("CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)");
        $s = $c->prepare("SELECT * FROM wide");
        foreach ([1, 2, 3] as $columns) {
            for ($i = 0; $i < 8; $i++) {
                try {
                    $s->execute();
                    check($s->columnCount(), $columns);
                    $s->fetchAll();
                } catch (PDOException $e) { // until the application prepares anew
                    check($e->errorInfo[0], "0A000");
                    $s = $c->prepare("SELECT * FROM wide");
                }
            }
            $other->exec("ALTER TABLE wide ADD b$columns int");
        }
    },
    "session" => function (PDO $c) {
        $c->exec("CREATE TEMP TABLE mine (a int)");
        $c->exec("INSERT INTO mine VALUES (8)");
        check(one($c, "SELECT a FROM mine"), 8);
        $c->exec("DROP TABLE mine");
        $c->exec("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT");
        check([count($c->query("FETCH 2 FROM h")->fetchAll()), count($c->query("FETCH 2 FROM h")->fetchAll())], [2, 1]);
        $c->exec("CLOSE h");
        $other = open();
        check([one($c, "SELECT pg_try_advisory_lock(77)"), one($other, "SELECT pg_try_advisory_lock(77)")], [true, false]);
        check([one($c, "SELECT pg_advisory_unlock(77)"), one($other, "SELECT pg_try_advisory_lock(77)")], [true, true]);
    },
    "reconnect" => function (PDO $c) {
        code(fn() => one($c, "SELECT pg_terminate_backend(pg_backend_pid())"));
        check(one(open(), "SELECT 1"), 1);
    },
    "servers" => function (PDO $c) {
        $seen = [];
        for ($i = 0; $i < 30; $i++)
            $seen[one($c, "SELECT pg_backend_pid()")] = true;
        return count($seen);
    },
];

foreach (array_slice($argv, 1) as $name) {
    try {
        $detail = $scenarios[$name](open());
        $line = [$name, "ok", (string) $detail];
    } catch (NotSupported $e) {
        $line = [$name, "n/a", $e->getMessage()];
    } catch (Throwable $e) {
        $line = [$name, "FAIL", strtr($e->getMessage(), "\n\t", "  ")];
    }
    echo implode("\t", $line), "\n";
}
