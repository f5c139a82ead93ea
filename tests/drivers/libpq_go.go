// SPDX-License-Identifier: ISC
// libpq_go.go - lib/pq behind database/sql: the scenarios of scenarios.py. VARIANT: more connection parameters.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

var ctx = context.Background()
var heard []string

func source() string {
	return "application_name=drivers sslmode=disable " + os.Getenv("VARIANT")
}

// open gives one connection; database/sql would take another for each statement.
func open() *sql.Conn {
	connector, err := pq.NewConnector(source())
	must(err)
	db := sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, func(e *pq.Error) { heard = append(heard, e.Message) }))
	c, err := db.Conn(ctx)
	must(err)
	return c
}

func one(c *sql.Conn, text string, args ...interface{}) string {
	var v interface{}
	must(c.QueryRowContext(ctx, text, args...).Scan(&v))
	if b, is := v.([]byte); is {
		return string(b)
	}
	return fmt.Sprint(v)
}

func run(c *sql.Conn, text string, args ...interface{}) int64 {
	r, err := c.ExecContext(ctx, text, args...)
	must(err)
	n, _ := r.RowsAffected()
	return n
}

func code(err error) string {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return string(pe.Code)
	}
	return fmt.Sprint(err)
}

func execCode(c *sql.Conn, text string, args ...interface{}) string {
	_, err := c.ExecContext(ctx, text, args...)
	return code(err)
}

func with(f func(c *sql.Conn) string) func() string {
	return func() string {
		c := open()
		defer c.Close()
		return f(c)
	}
}

func connect(c *sql.Conn) string {
	check(one(c, "SELECT current_user::text"), os.Getenv("PGUSER"))
	check(one(c, "SHOW application_name"), "drivers")
	return ""
}

func parameters(c *sql.Conn) string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i := 0; i < 3; i++ {
		var text string
		var n int
		var big int64
		var null sql.NullString
		var yes bool
		var raw []byte
		must(c.QueryRowContext(ctx, "SELECT $1::text, $2::int, $3::bigint, $4::text, $5::bool, $6::bytea", "ü'\"\\", 42, int64(1)<<40, nil, true, all).
			Scan(&text, &n, &big, &null, &yes, &raw))
		check([]interface{}{text, n, big, null.Valid, yes, bytes.Equal(raw, all)}, []interface{}{"ü'\"\\", 42, int64(1) << 40, false, true, true})
	}
	return ""
}

func settings(c *sql.Conn) string {
	run(c, "SET work_mem = '7MB'")
	run(c, "SET TimeZone = 'Asia/Tokyo'")
	for i := 0; i < 10; i++ {
		check(one(c, "SELECT current_setting('work_mem') || current_setting('TimeZone')"), "7MBAsia/Tokyo")
	}
	return ""
}

func prepared(c *sql.Conn) string {
	a, err := c.PrepareContext(ctx, "SELECT $1::int + 1")
	must(err)
	b, err := c.PrepareContext(ctx, "SELECT $1::text || 'x'")
	must(err)
	for i := 0; i < 20; i++ {
		var n int
		var x string
		must(a.QueryRow(i).Scan(&n))
		must(b.QueryRow(fmt.Sprint(i)).Scan(&x))
		check(fmt.Sprint(n, x), fmt.Sprint(i+1, fmt.Sprint(i)+"x"))
	}
	must(a.Close())
	must(b.Close())
	return ""
}

func batch(c *sql.Conn) string {
	rows, err := c.QueryContext(ctx, "SELECT 1; SELECT 2")
	must(err)
	check(rows.Next() && !rows.Next() && rows.NextResultSet() && rows.Next(), true)
	must(rows.Close())
	check(execCode(c, "SELECT 1; SELECT 1/0; SELECT 2"), "22012")
	check(one(c, "SELECT 1"), "1")
	return ""
}

func transactions(c *sql.Conn) string {
	tx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	check(one(c, "SHOW transaction_isolation"), "serializable")
	run(c, "INSERT INTO items (name) VALUES ($1)", "kept")
	run(c, "SAVEPOINT s")
	run(c, "INSERT INTO items (name) VALUES ($1)", "undone")
	run(c, "ROLLBACK TO s")
	must(tx.Commit())
	tx, err = c.BeginTx(ctx, nil)
	must(err)
	run(c, "INSERT INTO items (name) VALUES ($1)", "gone")
	check(execCode(c, "SELECT 1/0")+execCode(c, "SELECT 1"), "2201225P02")
	must(tx.Rollback())
	check(one(c, "SELECT string_agg(name, ',') FROM items"), "kept")
	check(run(c, "DELETE FROM items"), 1)
	return ""
}

func cursor(c *sql.Conn) string {
	tx, err := c.BeginTx(ctx, nil)
	must(err)
	run(c, "DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)")
	for i := 0; i < 10; i++ {
		rows, err := tx.Query("FETCH 100 FROM cur")
		must(err)
		n := 0
		for rows.Next() {
			n++
		}
		check(n, 100)
	}
	must(tx.Commit())
	return ""
}

func copyIn(c *sql.Conn) string {
	load := func(value interface{}) error {
		tx, err := c.BeginTx(ctx, nil)
		must(err)
		defer tx.Rollback()
		s, err := tx.Prepare(pq.CopyIn("copied", "a", "b"))
		must(err)
		for i := 0; i < 1000; i++ {
			if value == nil {
				_, err = s.Exec(i, "row")
			} else {
				_, err = s.Exec(value, "row")
			}
			if err != nil {
				break
			}
		}
		if err == nil {
			_, err = s.Exec()
		}
		if closing := s.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return err
		}
		return tx.Commit()
	}
	must(load(nil))
	check(code(load("rubbish")), "22P02")
	check(run(c, "DELETE FROM copied"), 1000)
	return ""
}

func cancel(c *sql.Conn) string {
	other := open()
	defer other.Close()
	limited, stop := context.WithCancel(ctx)
	go func() {
		for one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)' AND datname = current_database()") != "1" {
			time.Sleep(10 * time.Millisecond)
		}
		stop()
	}()
	_, err := c.ExecContext(limited, "SELECT pg_sleep(60)")
	check(code(err) == "57014" || errors.Is(err, context.Canceled), true)
	for one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)' AND datname = current_database()") != "0" {
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}

func notices(c *sql.Conn) string {
	heard = nil
	check(one(c, "SELECT loud($1)", "lib/pq"), "lib/pq")
	check(heard, []string{"hear lib/pq"})
	return ""
}

func notify(c *sql.Conn) string {
	l := pq.NewListener(source(), time.Second, time.Minute, nil)
	defer l.Close()
	must(l.Listen("chan"))
	run(c, "NOTIFY chan, 'hello'")
	select {
	case n := <-l.Notify:
		check(n.Extra, "hello")
	case <-time.After(10 * time.Second):
		panic("no notification")
	}
	return ""
}

func large(c *sql.Conn) string {
	text := strings.Repeat("x", 10000000)
	check(one(c, "SELECT $1::text", text) == text, true)
	rows, err := c.QueryContext(ctx, "SELECT generate_series(1, 50000)")
	must(err)
	n := 0
	for rows.Next() {
		n++
	}
	check(n, 50000)
	return ""
}

func errorsOf(c *sql.Conn) string {
	check(execCode(c, "SELEKT")+execCode(c, "INSERT INTO items (name) VALUES ('twice'), ('twice')")+execCode(c, "SELECT 1/0"), "426012350522012")
	run(c, "SET statement_timeout = 100")
	check(execCode(c, "SELECT pg_sleep(60)"), "57014")
	check(one(c, "SELECT 1"), "1")
	return ""
}

func ddl(c *sql.Conn) string {
	other := open()
	defer other.Close()
	run(c, "CREATE TABLE wide (a int)")
	run(c, "INSERT INTO wide VALUES (1)")
	s, err := c.PrepareContext(ctx, "SELECT * FROM wide")
	must(err)
	for columns := 1; columns <= 3; columns++ {
		for i := 0; i < 8; i++ {
			rows, err := s.Query()
			if err != nil { // until the application prepares anew
				check(code(err), "0A000")
				s.Close()
				s, err = c.PrepareContext(ctx, "SELECT * FROM wide")
				must(err)
				continue
			}
			got, err := rows.Columns()
			must(err)
			for rows.Next() {
			}
			if rows.Err() != nil {
				check(code(rows.Err()), "0A000")
				s.Close()
				s, err = c.PrepareContext(ctx, "SELECT * FROM wide")
				must(err)
				continue
			}
			check(len(got), columns)
		}
		run(other, fmt.Sprintf("ALTER TABLE wide ADD b%d int", columns))
	}
	s.Close()
	return ""
}

func session(c *sql.Conn) string {
	run(c, "CREATE TEMP TABLE mine (a int)")
	run(c, "INSERT INTO mine VALUES (8)")
	check(one(c, "SELECT a FROM mine"), "8")
	run(c, "DROP TABLE mine")
	run(c, "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT")
	check(one(c, "FETCH 1 FROM h")+one(c, "FETCH 1 FROM h"), "12")
	run(c, "CLOSE h")
	other := open()
	defer other.Close()
	check(one(c, "SELECT pg_try_advisory_lock(77)")+one(other, "SELECT pg_try_advisory_lock(77)"), "truefalse")
	check(one(c, "SELECT pg_advisory_unlock(77)")+one(other, "SELECT pg_try_advisory_lock(77)"), "truetrue")
	return ""
}

func reconnect(c *sql.Conn) string {
	if _, err := c.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
		panic("no error")
	}
	again := open()
	defer again.Close()
	check(one(again, "SELECT 1"), "1")
	return ""
}

func servers(c *sql.Conn) string {
	seen := map[string]bool{}
	for i := 0; i < 30; i++ {
		seen[one(c, "SELECT pg_backend_pid()")] = true
	}
	return fmt.Sprint(len(seen))
}

func main() {
	runAll(map[string]func() string{
		"connect": with(connect), "parameters": with(parameters), "settings": with(settings), "prepared": with(prepared), "batch": with(batch),
		"transactions": with(transactions), "cursor": with(cursor), "copy": with(copyIn), "cancel": with(cancel), "notices": with(notices),
		"notify": with(notify), "large": with(large), "errors": with(errorsOf), "ddl": with(ddl), "session": with(session),
		"reconnect": with(reconnect), "servers": with(servers),
	})
}
