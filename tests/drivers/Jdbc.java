// SPDX-License-Identifier: ISC
// pgjdbc: the scenarios of scenarios.py. VARIANT: parameters of the connection URL.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    interface Scenario { String run(Connection c) throws Exception; }

    static Connection open() throws SQLException {
        String variant = System.getenv("VARIANT");
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("ApplicationName", "drivers");
        p.setProperty("sslmode", "disable");
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE") + (variant.isEmpty() ? "" : "?" + variant), p);
    }

    static void check(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError(cut(got, 200) + " instead of " + cut(want, 80));
    }

    static String cut(Object o, int n) {
        String s = String.valueOf(o);
        return s.length() > n ? s.substring(0, n) : s;
    }

    static String one(Connection c, String sql, Object... values) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
            try (ResultSet r = s.executeQuery()) {
                check(r.next(), true);
                return r.getString(1);
            }
        }
    }

    static int run(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
            return s.getUpdateCount();
        }
    }

    interface Action { void run() throws Exception; }

    static String code(Action a) throws Exception {
        try {
            a.run();
        } catch (SQLException e) {
            return e.getSQLState();
        }
        throw new AssertionError("no error");
    }

    static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("connect", c -> {
            check(one(c, "SELECT current_user"), System.getenv("PGUSER"));
            check(one(c, "SELECT current_setting('application_name')"), "drivers");
            check(c.unwrap(PGConnection.class).getParameterStatus("client_encoding"), "UTF8");
            check(c.getMetaData().getDatabaseMajorVersion(), 15);
            return null;
        });
        SCENARIOS.put("parameters", c -> {
            boolean simple = System.getenv("VARIANT").contains("simple"); // there the driver cannot send bytes
            byte[] bytes = new byte[256];
            for (int i = 0; i < 256; i++) bytes[i] = (byte) i;
            try (PreparedStatement s = c.prepareStatement("SELECT cast(? AS text), cast(? AS int), cast(? AS bigint), cast(? AS text), cast(? AS bool), cast(? AS bytea), cast(? AS float8), cast(? AS int[]), cast(? AS timestamptz)")) {
                Timestamp now = new Timestamp(1700000000000L);
                for (int round = 0; round < 8; round++) { // text at first, binary later
                    s.setString(1, "ü'\"\\"); s.setInt(2, 42); s.setLong(3, 1L << 40); s.setNull(4, Types.VARCHAR); s.setBoolean(5, true);
                    if (simple) s.setString(6, "\\x"); else s.setBytes(6, bytes);
                    s.setDouble(7, 1.5); s.setArray(8, c.createArrayOf("int4", new Object[] {1, 2})); s.setTimestamp(9, now);
                    try (ResultSet r = s.executeQuery()) {
                        check(r.next(), true);
                        check(r.getString(1), "ü'\"\\"); check(r.getInt(2), 42); check(r.getLong(3), 1L << 40); check(r.getString(4), null);
                        check(r.getBoolean(5), true); check(simple || Arrays.equals(r.getBytes(6), bytes), true); check(r.getDouble(7), 1.5);
                        check(Arrays.toString((Integer[]) r.getArray(8).getArray()), "[1, 2]"); check(r.getTimestamp(9), now);
                    }
                }
            }
            return null;
        });
        SCENARIOS.put("settings", c -> {
            run(c, "SET work_mem = '7MB'");
            run(c, "SET TimeZone = 'Asia/Tokyo'");
            c.setSchema("pg_temp_nosuch");
            for (int i = 0; i < 10; i++) check(one(c, "SELECT current_setting('work_mem') || current_setting('TimeZone')"), "7MBAsia/Tokyo");
            c.setSchema("public");
            check(c.getSchema(), "public");
            return null;
        });
        SCENARIOS.put("prepared", c -> {
            try (PreparedStatement a = c.prepareStatement("SELECT ?::int + 1"); PreparedStatement b = c.prepareStatement("SELECT ?::text || 'x'")) {
                for (int i = 0; i < 20; i++) {
                    a.setInt(1, i);
                    b.setString(1, "" + i);
                    try (ResultSet r = a.executeQuery()) { r.next(); check(r.getInt(1), i + 1); }
                    try (ResultSet r = b.executeQuery()) { r.next(); check(r.getString(1), i + "x"); }
                }
                check(b.getParameterMetaData().getParameterCount(), 1);
            }
            for (int i = 0; i < 300; i++) check(one(c, "SELECT ?::int + " + i, 1), "" + (i + 1)); // past the driver's cache of 256
            return null;
        });
        SCENARIOS.put("batch", c -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO items (name, n) VALUES (?, 1 / ?)")) {
                for (int round = 0; round < 2; round++) {
                    for (int i = 0; i < 500; i++) { s.setString(1, "b" + round + "." + i); s.setInt(2, 1); s.addBatch(); }
                    check(s.executeBatch().length, 500);
                }
                for (int i = 0; i < 100; i++) { s.setString(1, "c" + i); s.setInt(2, i == 50 ? 0 : 1); s.addBatch(); }
                check(code(s::executeBatch), "22012");
            }
            try (Statement s = c.createStatement()) {
                s.execute("SELECT 1; SELECT 2");
                check(s.getMoreResults(), true);
                check(code(() -> s.execute("SELECT 1; SELECT 1/0; SELECT 2")), "22012");
            }
            check(run(c, "DELETE FROM items WHERE name LIKE 'b%'"), 1000);
            run(c, "DELETE FROM items");
            return null;
        });
        SCENARIOS.put("transactions", c -> {
            c.setAutoCommit(false);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            check(one(c, "SELECT current_setting('transaction_isolation')"), "serializable");
            run(c, "INSERT INTO items (name) VALUES ('gone')");
            c.rollback();
            run(c, "INSERT INTO items (name) VALUES ('kept')");
            Savepoint s = c.setSavepoint();
            run(c, "INSERT INTO items (name) VALUES ('undone')");
            c.rollback(s);
            c.commit();
            check(one(c, "SELECT string_agg(name, ',') FROM items"), "kept");
            check(code(() -> one(c, "SELECT 1/0")), "22012");
            String autosave = System.getenv("VARIANT");
            if (autosave.contains("autosave")) check(one(c, "SELECT 1"), "1"); // the driver rolled back to its savepoint
            else check(code(() -> one(c, "SELECT 1")), "25P02");
            c.rollback();
            check(run(c, "DELETE FROM items"), 1);
            c.commit();
            c.setReadOnly(true);
            check(code(() -> run(c, "INSERT INTO items (name) VALUES ('never')")), "25006");
            c.rollback();
            return null;
        });
        SCENARIOS.put("cursor", c -> {
            c.setAutoCommit(false);
            for (int round = 0; round < 7; round++) {
                try (PreparedStatement s = c.prepareStatement("SELECT generate_series(1, ?)")) {
                    s.setFetchSize(100);
                    s.setInt(1, 1000);
                    int total = 0;
                    try (ResultSet r = s.executeQuery()) { while (r.next()) total += r.getInt(1); }
                    check(total, 500500);
                }
            }
            c.commit();
            return null;
        });
        SCENARIOS.put("copy", c -> {
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder rows = new StringBuilder();
            for (int i = 0; i < 1000; i++) rows.append(i).append("\trow\n");
            check(copy.copyIn("COPY copied FROM STDIN", new StringReader(rows.toString())), 1000L);
            StringWriter out = new StringWriter();
            check(copy.copyOut("COPY copied TO STDOUT", out), 1000L);
            check(code(() -> copy.copyIn("COPY copied FROM STDIN", new StringReader("rubbish\trow\n"))), "22P02");
            check(run(c, "DELETE FROM copied"), 1000);
            return null;
        });
        SCENARIOS.put("cancel", c -> {
            try (Statement s = c.createStatement(); Connection other = open()) {
                Thread t = new Thread(() -> {
                    try {
                        while (!one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                            + " AND datname = current_database()").equals("1")) Thread.sleep(10);
                        s.cancel();
                    } catch (Exception e) { throw new RuntimeException(e); }
                });
                t.start();
                check(code(() -> s.execute("SELECT pg_sleep(60)")), "57014");
                t.join();
            }
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                check(code(() -> s.execute("SELECT pg_sleep(61)")), "57014");
            }
            check(one(c, "SELECT 1"), "1");
            return null;
        });
        SCENARIOS.put("notices", c -> {
            try (PreparedStatement s = c.prepareStatement("SELECT loud(?)")) {
                s.setString(1, "jdbc");
                s.executeQuery().close();
                check(s.getWarnings().getMessage(), "hear jdbc");
            }
            return null;
        });
        SCENARIOS.put("notify", c -> {
            run(c, "LISTEN chan");
            try (Connection other = open()) { run(other, "NOTIFY chan, 'hello'"); }
            PGNotification[] got = c.unwrap(PGConnection.class).getNotifications(10000);
            check(got == null ? 0 : got.length, 1);
            check(got[0].getParameter(), "hello");
            run(c, "UNLISTEN chan");
            return null;
        });
        SCENARIOS.put("large", c -> {
            String text = "x".repeat(10000000);
            check(one(c, "SELECT ?::text", text).equals(text), true);
            int rows = 0;
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT generate_series(1, 50000)")) { while (r.next()) rows++; }
            check(rows, 50000);
            return null;
        });
        SCENARIOS.put("errors", c -> {
            check(code(() -> run(c, "SELEKT")), "42601");
            check(code(() -> run(c, "INSERT INTO items (name) VALUES ('twice'), ('twice')")), "23505");
            check(code(() -> one(c, "SELECT 1/0")), "22012");
            run(c, "SET statement_timeout = 100");
            check(code(() -> one(c, "SELECT pg_sleep(60)")), "57014");
            check(one(c, "SELECT 1"), "1");
            return null;
        });
        SCENARIOS.put("ddl", c -> {
            run(c, "CREATE TABLE wide (a int)");
            run(c, "INSERT INTO wide VALUES (1)");
            try (Connection other = open()) {
                for (int columns = 1; columns <= 3; columns++) {
                    for (int i = 0; i < 8; i++) {
                        try (PreparedStatement s = c.prepareStatement("SELECT * FROM wide"); ResultSet r = s.executeQuery()) {
                            check(r.getMetaData().getColumnCount(), columns);
                        } catch (SQLException e) { // the driver prepares anew after it
                            check(e.getSQLState(), "0A000");
                        }
                    }
                    run(other, "ALTER TABLE wide ADD b" + columns + " int");
                }
            }
            return null;
        });
        SCENARIOS.put("session", c -> {
            run(c, "CREATE TEMP TABLE mine (a int)");
            run(c, "INSERT INTO mine VALUES (8)");
            check(one(c, "SELECT a FROM mine"), "8");
            run(c, "DROP TABLE mine");
            run(c, "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT");
            check(one(c, "FETCH 1 FROM h"), "1");
            check(one(c, "FETCH 1 FROM h"), "2");
            run(c, "CLOSE h");
            try (Connection other = open()) {
                check(one(c, "SELECT pg_try_advisory_lock(77)") + one(other, "SELECT pg_try_advisory_lock(77)"), "tf");
                check(one(c, "SELECT pg_advisory_unlock(77)") + one(other, "SELECT pg_try_advisory_lock(77)"), "tt");
            }
            return null;
        });
        SCENARIOS.put("reconnect", c -> {
            code(() -> one(c, "SELECT pg_terminate_backend(pg_backend_pid())"));
            check(c.isClosed(), true);
            try (Connection again = open()) { check(one(again, "SELECT 1"), "1"); }
            return null;
        });
        SCENARIOS.put("servers", c -> {
            Set<String> seen = new HashSet<>();
            for (int i = 0; i < 30; i++) seen.add(one(c, "SELECT pg_backend_pid()"));
            return "" + seen.size();
        });
    }

    public static void main(String[] args) {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        for (String name : args) {
            String line;
            try (Connection c = open()) {
                String detail = SCENARIOS.get(name).run(c);
                line = name + "\tok\t" + (detail == null ? "" : detail);
            } catch (Throwable e) {
                line = name + "\tFAIL\t" + e.toString().replaceAll("[\n\t]", " ");
            }
            out.println(line);
        }
        System.exit(0);
    }
}
