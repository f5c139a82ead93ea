// SPDX-License-Identifier: ISC
// pgx.go - pgx v4: the scenarios of scenarios.py. VARIANT: prepare (its default), describe, simple.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgx/v4"
)

var ctx = context.Background()

func open() *pgx.Conn {
	config, err := pgx.ParseConfig("application_name=drivers")
	must(err)
	switch os.Getenv("VARIANT") {
	case "describe":
		config.BuildStatementCache = func(c *pgconn.PgConn) stmtcache.Cache { return stmtcache.New(c, stmtcache.ModeDescribe, 128) }
	case "simple":
		config.PreferSimpleProtocol = true
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Message) }
	c, err := pgx.ConnectConfig(ctx, config)
	must(err)
	return c
}

var heard []string

func one(c *pgx.Conn, sql string, args ...interface{}) string {
	var v interface{}
	must(c.QueryRow(ctx, sql, args...).Scan(&v))
	return fmt.Sprint(v)
}

func run(c *pgx.Conn, sql string, args ...interface{}) int64 {
	tag, err := c.Exec(ctx, sql, args...)
	must(err)
	return tag.RowsAffected()
}

func code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return fmt.Sprint(err)
}

func execCode(c *pgx.Conn, sql string) string {
	_, err := c.Exec(ctx, sql)
	return code(err)
}

func with(f func(c *pgx.Conn) string) func() string {
	return func() string {
		c := open()
		defer c.Close(ctx)
		return f(c)
	}
}

func sleeps(other *pgx.Conn) {
	for one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)' AND datname = current_database()") != "1" {
		time.Sleep(10 * time.Millisecond)
	}
}

func connect(c *pgx.Conn) string {
	check(one(c, "SELECT current_user::text"), os.Getenv("PGUSER"))
	check(one(c, "SHOW application_name"), "drivers")
	check(c.PgConn().ParameterStatus("client_encoding"), "UTF8")
	return ""
}

func parameters(c *pgx.Conn) string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i := 0; i < 3; i++ {
		var text string
		var n int
		var big int64
		var null *string
		var yes bool
		var raw []byte
		var when time.Time
		now := time.Unix(1700000000, 0)
		must(c.QueryRow(ctx, "SELECT $1::text, $2::int, $3::bigint, $4::text, $5::bool, $6::bytea, $7::timestamptz", "ü'\"\\", 42, int64(1)<<40, null, true, all, now).
			Scan(&text, &n, &big, &null, &yes, &raw, &when))
		check([]interface{}{text, n, big, null == nil, yes, bytes.Equal(raw, all), when.Unix()}, []interface{}{"ü'\"\\", 42, int64(1) << 40, true, true, true, now.Unix()})
	}
	return ""
}

func settings(c *pgx.Conn) string {
	run(c, "SET work_mem = '7MB'")
	run(c, "SET TimeZone = 'Asia/Tokyo'")
	for i := 0; i < 10; i++ {
		check(one(c, "SELECT current_setting('work_mem') || current_setting('TimeZone')"), "7MBAsia/Tokyo")
	}
	return ""
}

func prepared(c *pgx.Conn) string {
	a, b := "SELECT $1::int + 1", "SELECT $1::text || 'x'"
	if os.Getenv("VARIANT") != "describe" { // there the driver sends names as if they were texts
		_, err := c.Prepare(ctx, "a", a)
		must(err)
		_, err = c.Prepare(ctx, "b", b)
		must(err)
		a, b = "a", "b"
	}
	for i := 0; i < 20; i++ {
		check(one(c, a, i), i+1)
		check(one(c, b, fmt.Sprint(i)), fmt.Sprint(i)+"x")
	}
	if a == "a" {
		must(c.Deallocate(ctx, "a"))
	}
	for i := 0; i < 200; i++ { // past the driver's cache
		check(one(c, fmt.Sprintf("SELECT $1::int + %d", i), 1), i+1)
	}
	return ""
}

func batch(c *pgx.Conn) string {
	b := &pgx.Batch{}
	for i := 0; i < 100; i++ {
		b.Queue("SELECT $1::int * 2", i)
	}
	results := c.SendBatch(ctx, b)
	for i := 0; i < 100; i++ {
		var v int
		must(results.QueryRow().Scan(&v))
		check(v, 2*i)
	}
	must(results.Close())
	b = &pgx.Batch{}
	b.Queue("SELECT 1")
	b.Queue("SELECT 1 / $1::int", 0)
	b.Queue("SELECT 2")
	results = c.SendBatch(ctx, b)
	_, err := results.Exec()
	if err == nil {
		_, err = results.Exec()
	}
	check(code(err), "22012")
	results.Close()
	_, err = c.PgConn().Exec(ctx, "SELECT 1; SELECT 1/0; SELECT 2").ReadAll()
	check(code(err), "22012")
	check(one(c, "SELECT 1"), "1")
	return ""
}

func transactions(c *pgx.Conn) string {
	tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	must(err)
	check(one(c, "SHOW transaction_isolation"), "serializable")
	run(c, "INSERT INTO items (name) VALUES ($1)", "kept")
	inner, err := tx.Begin(ctx)
	must(err)
	run(c, "INSERT INTO items (name) VALUES ($1)", "undone")
	must(inner.Rollback(ctx))
	must(tx.Commit(ctx))
	tx, err = c.Begin(ctx)
	must(err)
	run(c, "INSERT INTO items (name) VALUES ($1)", "gone")
	check(execCode(c, "SELECT 1/0")+execCode(c, "SELECT 1"), "2201225P02")
	must(tx.Rollback(ctx))
	check(one(c, "SELECT string_agg(name, ',') FROM items"), "kept")
	check(run(c, "DELETE FROM items"), 1)
	return ""
}

func cursor(c *pgx.Conn) string {
	tx, err := c.Begin(ctx)
	must(err)
	run(c, "DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)")
	for i := 0; i < 10; i++ {
		check(run(c, "FETCH 100 FROM cur"), 100)
	}
	must(tx.Commit(ctx))
	return ""
}

func copyInOut(c *pgx.Conn) string {
	rows := [][]interface{}{}
	for i := 0; i < 1000; i++ {
		rows = append(rows, []interface{}{int32(i), "row"})
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"a", "b"}, pgx.CopyFromRows(rows))
	must(err)
	check(n, 1000)
	var out bytes.Buffer
	_, err = c.PgConn().CopyTo(ctx, &out, "COPY copied TO STDOUT")
	must(err)
	check(strings.Count(out.String(), "\n"), 1000)
	_, err = c.PgConn().CopyFrom(ctx, strings.NewReader("rubbish\trow\n"), "COPY copied FROM STDIN")
	check(code(err), "22P02")
	check(run(c, "DELETE FROM copied"), 1000)
	return ""
}

func cancel(c *pgx.Conn) string {
	other := open()
	defer other.Close(ctx)
	go func() {
		sleeps(other)
		c.PgConn().CancelRequest(ctx)
	}()
	check(execCode(c, "SELECT pg_sleep(60)"), "57014")
	check(one(c, "SELECT 1"), "1")
	limited, done := context.WithTimeout(ctx, 200*time.Millisecond) // the driver closes the connection
	defer done()
	if _, err := c.Exec(limited, "SELECT pg_sleep(61)"); err == nil {
		panic("no timeout")
	}
	return ""
}

func notices(c *pgx.Conn) string {
	heard = nil
	check(one(c, "SELECT loud($1)", "pgx"), "pgx")
	check(heard, []string{"hear pgx"})
	return ""
}

func notify(c *pgx.Conn) string {
	run(c, "LISTEN chan")
	other := open()
	defer other.Close(ctx)
	run(other, "SELECT pg_notify('chan', $1)", "hello")
	n, err := c.WaitForNotification(ctx)
	must(err)
	check(n.Payload, "hello")
	run(c, "UNLISTEN chan")
	return ""
}

func large(c *pgx.Conn) string {
	text := strings.Repeat("x", 10000000)
	check(one(c, "SELECT $1::text", text) == text, true)
	rows, err := c.Query(ctx, "SELECT generate_series(1, 50000)")
	must(err)
	n := 0
	for rows.Next() {
		n++
	}
	must(rows.Err())
	check(n, 50000)
	return ""
}

func errorsOf(c *pgx.Conn) string {
	check(execCode(c, "SELEKT")+execCode(c, "INSERT INTO items (name) VALUES ('twice'), ('twice')")+execCode(c, "SELECT 1/0"), "426012350522012")
	run(c, "SET statement_timeout = 100")
	check(execCode(c, "SELECT pg_sleep(60)"), "57014")
	check(one(c, "SELECT 1"), "1")
	return ""
}

func ddl(c *pgx.Conn) string {
	other := open()
	defer other.Close(ctx)
	run(c, "CREATE TABLE wide (a int)")
	run(c, "INSERT INTO wide VALUES (1)")
	for columns := 1; columns <= 3; columns++ {
		for i := 0; i < 8; i++ {
			rows, err := c.Query(ctx, "SELECT * FROM wide")
			n := 0
			if err == nil {
				for rows.Next() {
					n = len(rows.RawValues())
				}
				err = rows.Err()
			}
			if err != nil {
				check(code(err), "0A000") // the driver prepares anew after it
			} else if i > 3 || n > 1 {
				check(n, columns)
			}
		}
		run(other, fmt.Sprintf("ALTER TABLE wide ADD b%d int", columns))
	}
	return ""
}

func session(c *pgx.Conn) string {
	run(c, "CREATE TEMP TABLE mine (a int)")
	run(c, "INSERT INTO mine VALUES (8)")
	check(one(c, "SELECT a FROM mine"), "8")
	run(c, "DROP TABLE mine")
	_, err := c.PgConn().Exec(ctx, "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT").ReadAll()
	must(err)
	check(run(c, "FETCH 2 FROM h"), 2)
	check(run(c, "FETCH 2 FROM h"), 1)
	run(c, "CLOSE h")
	other := open()
	defer other.Close(ctx)
	check(one(c, "SELECT pg_try_advisory_lock(77)")+one(other, "SELECT pg_try_advisory_lock(77)"), "truefalse")
	check(one(c, "SELECT pg_advisory_unlock(77)")+one(other, "SELECT pg_try_advisory_lock(77)"), "truetrue")
	return ""
}

func reconnect(c *pgx.Conn) string {
	check(execCode(c, "SELECT pg_terminate_backend(pg_backend_pid())"), "57P01")
	again := open()
	defer again.Close(ctx)
	check(one(again, "SELECT 1"), "1")
	return ""
}

func servers(c *pgx.Conn) string {
	seen := map[string]bool{}
	for i := 0; i < 30; i++ {
		seen[one(c, "SELECT pg_backend_pid()")] = true
	}
	return fmt.Sprint(len(seen))
}

func main() {
	runAll(map[string]func() string{
		"connect": with(connect), "parameters": with(parameters), "settings": with(settings), "prepared": with(prepared), "batch": with(batch),
		"transactions": with(transactions), "cursor": with(cursor), "copy": with(copyInOut), "cancel": with(cancel), "notices": with(notices),
		"notify": with(notify), "large": with(large), "errors": with(errorsOf), "ddl": with(ddl), "session": with(session),
		"reconnect": with(reconnect), "servers": with(servers),
	})
}
