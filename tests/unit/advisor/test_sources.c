/* SPDX-License-Identifier: ISC */
/* Logs in all forms: what counts as an execution, times that come later, prefixes, filters, torn and foreign lines. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "advisor/source/csv.h"
#include "advisor/source/gather.h"
#include "advisor/source/json_scan.h"
#include "advisor/source/prefix.h"
#include "advisor/source/reader.h"
#include "advisor/source/summary.h"
#include "advisor/source/words.h"
#include "poolwise/mem.h"

static AdvGather *gathered(const char *text, const AdvFilter *filter)
{
    AdvGather *g = adv_gather_create(filter, 1, false);
    if (adv_gather_text(g, text, strlen(text)) == PW_OK)
        return g;
    adv_gather_destroy(g);
    return NULL;
}

static uint64_t executions(const char *text)
{
    AdvGather *g = gathered(text, NULL);
    assert_non_null(g);
    uint64_t n = adv_tally_counts(adv_gather_tally(g))->statements;
    adv_gather_destroy(g);
    return n;
}

static void test_csv(void **state)
{
    (void)state;
    static const char text[] = "a,\"b \"\"c\"\", d\",,\"e\nf\"\nx,\"1\r\n2\"\r\n\nlast,";
    AdvSlice f[3];
    PwBuf buf;
    PwBuf *buffers[3] = {NULL, &buf, NULL};
    AdvCsv csv = {.p = text, .end = text + strlen(text)};
    pw_buf_init(&buf);
    assert_int_equal(adv_csv_next(&csv, f, buffers, 3), 4);
    assert_true(adv_slice_is(f[0], "a") && adv_slice_is(f[1], "b \"c\", d") && adv_slice_is(f[2], ""));
    assert_int_equal(adv_csv_next(&csv, f, buffers, 3), 2);
    assert_true(adv_slice_is(f[1], "1\r\n2"));
    assert_int_equal(adv_csv_next(&csv, f, buffers, 3), 1);
    assert_true(adv_slice_is(f[0], ""));
    assert_int_equal(adv_csv_next(&csv, f, buffers, 3), 2);
    assert_true(adv_slice_is(f[0], "last") && adv_slice_is(f[1], ""));
    assert_int_equal(adv_csv_next(&csv, f, buffers, 3), 0);
    pw_buf_finish(&buf);
}

static void test_json_scan(void **state)
{
    (void)state;
    static const char text[] = " {\"a\" : \"x\\\"\\\\\\u00fc\\ud83d\\ude00\\n\", \"b\":[1,{\"]\":\"}\"}],\"c\":-1.5,\"d\":null , \"e\":12}";
    AdvJsonScan scan = adv_json_scan(text, strlen(text));
    AdvJsonMember m;
    AdvSlice value;
    PwBuf buf;
    unsigned long long number;
    pw_buf_init(&buf);
    assert_true(adv_json_next(&scan, &m) && adv_slice_is(m.key, "a"));
    assert_true(adv_json_text(&m, &buf, &value) && adv_slice_is(value, "x\"\\\xc3\xbc\xf0\x9f\x98\x80\n"));
    assert_true(adv_json_next(&scan, &m) && m.type == '[' && adv_slice_is(m.value, "[1,{\"]\":\"}\"}]"));
    assert_true(adv_json_next(&scan, &m) && adv_slice_is(m.value, "-1.5") && !adv_json_number(&m, &number));
    assert_true(adv_json_next(&scan, &m) && m.type == 'n');
    assert_true(adv_json_next(&scan, &m) && adv_json_number(&m, &number) && number == 12);
    assert_true(!adv_json_next(&scan, &m) && !scan.bad);
    static const char *const bad[] = {"", "[1]", "{", "{\"a\"", "{\"a\":", "{\"a\":\"x", "{\"a\":\"x\\\"}", "{\"a\":[1,2", "{\"a\" 1}", "{a:1}", "{\"a\":1"};
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        scan = adv_json_scan(bad[i], strlen(bad[i]));
        while (adv_json_next(&scan, &m))
            ;
        assert_true(scan.bad);
    }
    static const char *const wrong[] = {"{\"a\":\"\\ud800\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\x\"}"};
    for (size_t i = 0; i < PW_ARRAY_LEN(wrong); i++) {
        scan = adv_json_scan(wrong[i], strlen(wrong[i]));
        assert_true(adv_json_next(&scan, &m) && !adv_json_text(&m, &buf, &value));
    }
    pw_buf_finish(&buf);
}

static void test_what_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t calls;
    } rows[] = {
        {"x LOG:  duration: 1.0 ms  statement: SELECT 1\n", 1},
        {"x LOG:  statement: SELECT 1\nx LOG:  duration: 1.0 ms\n", 1},
        {"x LOG:  execute s: SELECT $1\nx DETAIL:  parameters: $1 = '1'\n", 1},
        {"x LOG:  duration: 1.0 ms  parse s: SELECT 1\nx LOG:  duration: 1.0 ms  bind s: SELECT 1\n", 0},
        {"x LOG:  duration: 1.0 ms  execute fetch from s: SELECT 1\n", 0},
        {"x LOG:  duration: 1.0 ms  statement: SELECT 1\nx ERROR:  no\nx STATEMENT:  SELECT 2\n", 1},
        {"x LOG:  duration: oops ms  statement: SELECT 1\n", 0},
        {"x LOG:  duration: 1.0 ms  statement: SELECT 1\r\nx LOG:  duration: 1.0 ms  statement: SELECT\r\n\t2\r\n", 2},
        {"2026-01-02 UTC FEHLER:  x\n2026-01-02 UTC LOG:  Dauer: 1,5 ms  Anweisung: SELECT 1\n", 1},
        {"x СООБЩЕНИЕ:  продолжительность: 1.5 мс, оператор: SELECT 1\nx СООБЩЕНИЕ:  продолжительность: 1.5 мс  выполнение <unnamed>: SELECT $1\n"
         "x ПОДРОБНОСТИ:  параметры: $1 = '5'\n", 2},
        {"x LOG:  durée : 1.5 ms, instruction : SELECT 1\n", 1},
        {"x LOG:  期間: 1.5 ミリ秒  文: SELECT 1\nx LOG:  期間: 1.5 ミリ秒  取り出し実行 c: SELECT 1\n", 1},
        {"x 日志:  执行时间: 1.5 ms 语句: SELECT 1\nx 日志:  执行 <unnamed>: SELECT 1\nx 日志:  执行时间: 1.5 ms\n"
         "x 日志:  执行时间: 1.5 ms执行<unnamed>: SELECT 1\nx 日志:  执行提取，来源为 c: SELECT 1\n", 3},
        {"{\"error_severity\":\"LOG\",\"message\":\"duration: 1.0 ms  statement: SELECT 1\"}\n{\"error_severity\":\"LOG\",\"mess\n", 1},
        {"{\"insertId\":\"a\",\"textPayload\":\"2026-01-02 03:04:05.678 UTC [7]: [1-1] db=d,user=u LOG:  duration: 1.0 ms  statement: SELECT\\n\\t1\"}\n", 1},
        {"{\"time\":\"2026-01-02T03:04:05Z\",\"category\":\"PostgreSQLLogs\",\"properties\":{\"message\":\"duration: 1.0 ms  statement: SELECT 1\","
         "\"errorLevel\":\"LOG\"}}\n", 1},
        {"{\"level\":\"info\",\"msg\":\"record\",\"record\":{\"error_severity\":\"LOG\",\"message\":\"duration: 1.0 ms  statement: SELECT 1\"}}\n", 1},
        {"{\"log\":\"2026-01-02 UTC [7] LOG:  duration: 1.0 ms  statement: SELECT 1\\n\",\"stream\":\"stderr\"}\n", 1},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        uint64_t calls = executions(rows[i].text);
        if (calls != rows[i].calls)
            fail_msg("%s: %llu calls", rows[i].text, (unsigned long long)calls);
    }
    assert_null(gathered("SELECT 1;\n", NULL));
}

static const AdvShape *only_shape(AdvGather *g, AdvShape ***ret_shapes)
{
    size_t n;
    *ret_shapes = adv_tally_sorted(adv_gather_tally(g), &n);
    assert_int_equal(n, 1);
    return (*ret_shapes)[0];
}

/* Lines of two processes in turn; the time of each statement comes later. */
static void test_times_of_their_own(void **state)
{
    (void)state;
    AdvShape **shapes;
    AdvGather *g = gathered("2026-01-02 03:04:05 UTC [7] LOG:  duration: 99.0 ms\n"
                            "2026-01-02 03:04:05 UTC [7] LOG:  statement: SELECT 1\n"
                            "2026-01-02 03:04:05 UTC [8] LOG:  statement: SELECT 2\n"
                            "2026-01-02 03:04:05 UTC [7] LOG:  duration: 1.5 ms\n"
                            "2026-01-02 03:04:05 UTC [7] LOG:  duration: 98.0 ms\n"
                            "2026-01-02 03:04:05 UTC [8] LOG:  duration: 2.5 ms\n", NULL);
    const AdvShape *s = only_shape(g, &shapes);
    assert_int_equal(s->calls, 2);
    assert_int_equal(s->us, 4000);
    free(shapes);
    adv_gather_destroy(g);
}

static void test_several_lines(void **state)
{
    (void)state;
    AdvShape **shapes;
    AdvGather *g = gathered("x [7] LOG:  duration: 1.5 ms  execute a: SELECT *\n\tFROM t\n-- LOG:  no message\n\t WHERE a = $1\n"
                            "x [7] DETAIL:  parameters: $1 = 'two\n\tlines'\n", NULL);
    const AdvShape *s = only_shape(g, &shapes);
    assert_string_equal(s->samples[0].text, "SELECT *\nFROM t");
    free(shapes);
    adv_gather_destroy(g);
    g = gathered("x [7] LOG:  duration: 1.5 ms  execute a: SELECT *\n\tFROM t\n\t-- LOG:  no message\n\t WHERE a = $1\n"
                 "x [7] DETAIL:  parameters: $1 = 'two\n\tlines'\n", NULL);
    s = only_shape(g, &shapes);
    assert_string_equal(s->samples[0].text, "SELECT *\nFROM t\n-- LOG:  no message\n WHERE a = 'two\nlines'");
    free(shapes);
    adv_gather_destroy(g);
}

static void test_syslog(void **state)
{
    (void)state;
    AdvShape **shapes;
    AdvGather *g = gathered("Nov 26 00:00:01 db postgres[7]: [1-1] 2026-11-26 00:00:01 UTC LOG:  duration: 1.5 ms  execute a: SELECT *\n"
                            "Nov 26 00:00:01 db postgres[8]: [1-1] 2026-11-26 00:00:01 UTC ERROR:  x\n"
                            "Nov 26 00:00:01 db postgres[7]: [1-2] #011FROM t WHERE a =\n"
                            "Nov 26 00:00:01 db cron[99]: something else\n"
                            "Nov 26 00:00:01 db postgres[7]: [1-3]  $1\n"
                            "Nov 26 00:00:01 db postgres[8]: [2-1] 2026-11-26 00:00:01 UTC STATEMENT:  y\n"
                            "Nov 26 00:00:01 db postgres[7]: [2-1] 2026-11-26 00:00:01 UTC DETAIL:  parameters: $1 = '5'\n", NULL);
    const AdvShape *s = only_shape(g, &shapes);
    assert_string_equal(s->samples[0].text, "SELECT *\nFROM t WHERE a = '5'");
    assert_int_equal(adv_tally_counts(adv_gather_tally(g))->errors, 1);
    free(shapes);
    adv_gather_destroy(g);
}

/* A quote that was lost costs its own record only. */
static void test_torn_csv(void **state)
{
    (void)state;
#define LINE(message) "2026-01-02 03:04:05.678 UTC,\"u\",\"d\",7,\"[local]\",6.7,1,\"S\",2026-01-02 03:04:05 UTC,3/1,0,LOG,00000," message ",,,,,,,,,\"app\",\"client backend\",,0\n"
    AdvGather *g = gathered(LINE("\"duration: 1.0 ms  statement: SELECT 1\"") "2026-01-02 03:04:05.678 UTC,\"u\",\"d\",7,\"[local]\",6.7,1,\"S\",2026-01-02 03:04:05 UTC,3/1,0,LOG,00000,\"duration: 1.0 ms  statement: SELECT 'to\n"
                                                        LINE("\"duration: 1.0 ms  statement: SELECT \"\"a\n2026-01-02 03:04:05.678 UTC\"\"\"") LINE("\"duration: 1.0 ms  statement: SELECT 1\""), NULL);
    const AdvTallyCounts *c = adv_tally_counts(adv_gather_tally(g));
    assert_int_equal(c->statements, 3);
    assert_int_equal(c->bad, 1);
    adv_gather_destroy(g);
}

static void test_troubles(void **state)
{
    (void)state;
    AdvGather *g = gathered("x [7] LOG:  temporary file: path \"base/pgsql_tmp/pgsql_tmp7.0\", size 1048576\nx [7] STATEMENT:  SELECT * FROM t ORDER BY a\n"
                            "x [7] LOG:  duration: 5.0 ms  statement: SELECT * FROM t ORDER BY a\n"
                            "x [7] LOG:  process 7 still waiting for ShareLock on transaction 5 after 1000.1 ms\nx [7] DETAIL:  Process\nx [7] STATEMENT:  UPDATE t SET a = 1\n", NULL);
    const AdvTallyCounts *c = adv_tally_counts(adv_gather_tally(g));
    assert_int_equal(c->temp_files, 1);
    assert_int_equal(c->temp_bytes, 1048576);
    assert_int_equal(c->lock_waits, 1);
    assert_int_equal(c->statements, 1);
    adv_gather_destroy(g);
}

static void check_entry(const AdvEntry *e, const char *time, const char *pid, const char *user, const char *database, const char *application)
{
    const struct {
        AdvSlice got;
        const char *want;
    } all[] = {{e->time, time}, {e->pid, pid}, {e->user, user}, {e->database, database}, {e->application, application}};
    for (size_t i = 0; i < PW_ARRAY_LEN(all); i++)
        if (all[i].want ? !all[i].got.p || strncmp(all[i].got.p, all[i].want, all[i].got.n) != 0 || all[i].got.n != strlen(all[i].want) : all[i].got.n != 0)
            fail_msg("\"%.*s\" instead of %s", (int)all[i].got.n, all[i].got.p ? all[i].got.p : "", all[i].want ? all[i].want : "nothing");
}

static AdvSlice slice(const char *text)
{
    return (AdvSlice){text, strlen(text)};
}

static void test_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *line, *time, *pid, *user, *database, *application;
        bool guessed; /* also without knowing the prefix */
    } rows[] = {
        {"%m [%p] ", "2026-01-02 03:04:05.678 UTC [77] ", "2026-01-02 03:04:05.678 UTC", "77", NULL, NULL, NULL, true},
        {"%m [%p] %q%u@%d ", "2026-01-02 03:04:05.678 UTC [77] me@shop ", "2026-01-02 03:04:05.678 UTC", "77", "me", "shop", NULL, true},
        {"%m [%p] %q%u@%d ", "2026-01-02 03:04:05.678 UTC [77] ", "2026-01-02 03:04:05.678 UTC", "77", NULL, NULL, NULL, true},
        {"%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ", "2026-01-02 03:04:05 CET [77]: [5-1] user=me,db=shop,app=psql,client=::1 ", "2026-01-02 03:04:05 CET", "77",
         "me", "shop", "psql", true},
        {"%t:%r:%u@%d:[%p]:", "2026-01-02 03:04:05 UTC:10.0.0.1(4711):me@shop:[77]:", "2026-01-02 03:04:05 UTC", "77", "me", "shop", NULL, true},
        {"%m|%p,%l %q[user=%u,db=%d: app=%a] ", "2026-01-02 03:04:05.678 UTC|77,3 [user=me,db=shop: app=x y] ", "2026-01-02 03:04:05.678 UTC", "77", "me", "shop", "x y",
         false},
        {"< %m %-8u|%8d >", "< 2026-01-02 03:04:05.678 +03 me      |    shop >", "2026-01-02 03:04:05.678 +03", NULL, "me", "shop", NULL, false},
        {"%%%d/%u ", "%shop/me ", NULL, NULL, "me", "shop", NULL, false},
        {"%n [%p] %u@%d ", "1772366400.123 [77] me@shop ", "1772366400.123", "77", "me", "shop", NULL, true},
        {"%m [%p] %b %q%u@%d %a ", "2026-01-02 03:04:05.678 UTC [77] client backend me@shop my own app ", "2026-01-02 03:04:05.678 UTC", "77", "me", "shop", "my own app",
         false},
        {"%m [%p] %b %q%u@%d ", "2026-01-02 03:04:05.678 UTC [55] logical replication launcher ", "2026-01-02 03:04:05.678 UTC", "55", NULL, NULL, NULL, false},
        {"%i %u@%d %t ", "idle in transaction (aborted) me@shop 2026-01-02 03:04:05 -03 ", "2026-01-02 03:04:05 -03", NULL, "me", "shop", NULL, false},
        {"%i %u@%d %t ", "CREATE TABLE me@shop 2026-01-02 03:04:05 <+0530>-05:30 ", "2026-01-02 03:04:05 <+0530>-05:30", NULL, "me", "shop", NULL, false},
        {"%m %p %l %s %v %x %c %Q %e %r %h %P %b,%a,%u,%d: ",
         "2026-01-02 03:04:05.678 UTC 77 5 2026-01-02 03:00:00 UTC 3/17 1234 6957.4d -5678901234 00000 10.0.0.1(4711) 10.0.0.1  client backend,a b,me,shop: ",
         "2026-01-02 03:04:05.678 UTC", "77", "me", "shop", "a b", false},
        {"%m %p %l %s %v %x %c %Q %e %r %h %P %b,%a,%u,%d: ", "2026-01-02 03:04:05.678 UTC 78 1 2026-01-02 03:00:00 UTC  0 6957.4e 0 00000    checkpointer,,,: ",
         "2026-01-02 03:04:05.678 UTC", "78", NULL, NULL, NULL, false},
        {"%c %-20a|%u|", "6957.4d x                   |me|", NULL, "6957.4d", "me", NULL, "x", false},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        AdvEntry e = {0};
        assert_true(adv_prefix_match(rows[i].prefix, slice(rows[i].line), &e));
        check_entry(&e, rows[i].time, rows[i].pid, rows[i].user, rows[i].database, rows[i].application);
        if (!rows[i].guessed)
            continue;
        e = (AdvEntry){0};
        adv_prefix_guess(slice(rows[i].line), &e);
        if (e.time.n)
            e.time.n = rows[i].time ? strlen(rows[i].time) : 0; /* the zone is not part of a guess */
        check_entry(&e, rows[i].time, rows[i].pid, rows[i].user, rows[i].database, rows[i].application);
    }
    AdvEntry e = {0};
    assert_false(adv_prefix_match("%m [%p] ", slice("something else "), &e));
    assert_false(adv_prefix_match("%m [%p] ", slice("2026-01-02 03:04:05.678 UTC [77] more "), &e));
    char blanks[4001]; /* of a line that does not fit not every place is tried where a value could end */
    memset(blanks, ' ', sizeof(blanks) - 1);
    blanks[sizeof(blanks) - 1] = '\0';
    assert_false(adv_prefix_match("%u %d %a %h %r %e|x", slice(blanks), &e));
    assert_null(e.user.p);
}

/* Very long texts, and those that become so as UTF-8: what is kept of them can be read back. */
static void test_long_texts(void **state)
{
    (void)state;
    static const char fill[] = {'x', (char)0xfc, 'y'};
    for (size_t kind = 0; kind < 3; kind++) {
        size_t n = kind == 2 ? 3 * PW_QUERY_TEXT_MAX : PW_QUERY_TEXT_MAX - 100;
        char *text = pw_xmalloc(n + 100);
        int head = sprintf(text, "x LOG:  duration: 1.0 ms  statement: SELECT \"");
        memset(text + head, fill[kind], n);
        strcpy(text + head + n, "\" FROM t\n");
        AdvGather *g = gathered(text, NULL);
        AdvShape **shapes;
        PwBuf summary;
        AdvTally *again = adv_tally_create();
        pw_buf_init(&summary);
        assert_int_equal(only_shape(g, &shapes)->n_samples, kind == 0);
        adv_summary_write(adv_gather_tally(g), false, &summary);
        assert_null(adv_summary_read(again, (const char *)summary.data, summary.len, NULL));
        assert_int_equal(adv_tally_counts(again)->statements, 1);
        pw_buf_finish(&summary);
        adv_tally_destroy(again);
        adv_gather_destroy(g);
        free(shapes);
        free(text);
    }
    /* Values that are longer than any text leave their text as it is. */
    static const char start[] = "x LOG:  execute s: INSERT INTO t VALUES ($1, $2)\nx DETAIL:  parameters: $1 = '1', $2 = '";
    char *text = pw_xmalloc(sizeof(start) + 100000);
    memset(text, 'v', sizeof(start) + 100000);
    memcpy(text, start, strlen(start));
    strcpy(text + sizeof(start) + 100000 - 3, "'\n");
    AdvGather *g = gathered(text, NULL);
    AdvShape **shapes;
    assert_string_equal(only_shape(g, &shapes)->samples[0].text, "INSERT INTO t VALUES ($1, $2)");
    adv_gather_destroy(g);
    free(shapes);
    free(text);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {{"2026-01-02T03:04:05Z", "2026-01-02 03:04:05"}, {"2026-01-02 03:04:05.6 UTC", "2026-01-02 03:04:05.6"}, {"2026-01-02 03:04:05.678901", "2026-01-02 03:04:05.678"},
                {"1772366400.123", "2026-03-01 12:00:00.123"}, {"1772366400", ""}, {"17723664001.123", ""}, {"1772366400.12", ""}, {"1772366400.1234", ""}, {"", ""}, {"x", ""}};
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        char out[ADV_TIME_MAX + 1] = "";
        size_t n = adv_time_text(slice(rows[i].text), out);
        assert_int_equal(n, strlen(rows[i].want));
        assert_memory_equal(out, rows[i].want, n);
    }
}

/* Temporary files and lock waits as each language puts them; what only looks like one is none. */
static void test_troubles_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        AdvTold what;
        unsigned long long bytes;
    } rows[] = {
        {"temporary file: path \"base/pgsql_tmp/a, size 3\", size 1048576", ADV_TOLD_TEMP_FILE, 1048576},
        {"temporary file: path \"x\", size ", ADV_TOLD_NOTHING, 0},
        {"temporary file: path \"x", ADV_TOLD_NOTHING, 0},
        {"temporäre Datei: Pfad »base/pgsql_tmp/a«, Größe 12", ADV_TOLD_TEMP_FILE, 12},
        {"fichier temporaire : chemin « a », taille 99999999999999999999", ADV_TOLD_TEMP_FILE, 9999999999999999ULL},
        {"一時ファイル: パス \"a\"、サイズ 7", ADV_TOLD_TEMP_FILE, 7},
        {"process 102 still waiting for ShareLock on transaction 5 after 1000.100 ms", ADV_TOLD_LOCK_WAIT, 0},
        {"process x still waiting for ShareLock", ADV_TOLD_NOTHING, 0},
        {"process 102 acquired ShareLock on transaction 5 after 1500.100 ms", ADV_TOLD_NOTHING, 0},
        {"プロセス102はShareLockをトランザクション 5で待機しています。1000.100ミリ秒後", ADV_TOLD_LOCK_WAIT, 0},
        {"102 PID 프로세스에서 여전히 ShareLock(트랜잭션 5) 작업을 기다리고 있음(1000.100ms 후)", ADV_TOLD_LOCK_WAIT, 0},
        {"进程 102 等待 1000.100 毫秒后，仍在等待 事务 5 上的 ShareLock", ADV_TOLD_LOCK_WAIT, 0},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        AdvTelling t = adv_tell(slice(rows[i].text));
        if (t.what != rows[i].what || t.bytes != rows[i].bytes)
            fail_msg("%s: %d, %llu bytes", rows[i].text, (int)t.what, t.bytes);
    }
}

/* Blocks of an array may end anywhere. */
static void test_json_array_in_blocks(void **state)
{
    (void)state;
    static const char text[] = "[ {\"textPayload\": \"x LOG:  duration: 1.0 ms  statement: SELECT '\\\"{' FROM a\", \"l\": {\"b\": [1, {\"c\": \"]\"}]}},\n"
                               "{\"textPayload\": \"x LOG:  duration: 2.0 ms  execute s: SELECT $1 FROM b\"}, {\"textPayload\": \"x DETAIL:  parameters: $1 = '7'\"} ]\n"
                               "{\"textPayload\": \"x LOG:  duration: 4.0 ms  statement: SELECT 4 FROM c\"}{\"textPayload\": \"cut";
    for (size_t block = 1; block < sizeof(text); block++) {
        AdvReader r;
        adv_reader_init(&r, NULL);
        for (size_t at = 0; at < strlen(text); at += block)
            adv_form_json_array.read(&r, text + at, strlen(text) - at < block ? strlen(text) - at : block);
        adv_form_json_array.finish(&r);
        const AdvTallyCounts *c = adv_tally_counts(r.tally);
        assert_int_equal(c->statements, 3);
        assert_int_equal(c->us, 7000);
        assert_int_equal(c->bad, 1);
        assert_non_null(strstr(adv_tally_shape(r.tally, "SELECT $1 FROM b", 16)->samples[0].text, "'7'"));
        adv_reader_finish(&r);
    }
}

static void test_notes(void **state)
{
    (void)state;
    AdvNotes all = {0}, more = {0};
    for (int i = 0; i < ADV_NOTES_MAX - 1; i++)
        adv_notes_add(&all, "x\xfc");
    adv_notes_add(&more, "a");
    adv_notes_add(&more, "b");
    adv_notes_append(&all, &more);
    adv_notes_append(&all, &more);
    assert_int_equal(all.n, ADV_NOTES_MAX);
    assert_int_equal(all.more, 3);
    assert_string_equal(all.items[0], "x\xc3\xbc");
    assert_string_equal(all.items[ADV_NOTES_MAX - 1], "a");
    adv_notes_finish(&all);
    adv_notes_finish(&more);
}

static void test_filters(void **state)
{
    (void)state;
    static const char text[] = "2026-03-29 01:59:59.000 CET [7] me@shop LOG:  duration: 1.0 ms  statement: SELECT 1\n"
                               "2026-03-29 03:00:01.000 CEST [7] me@other LOG:  duration: 1.0 ms  statement: SELECT 2\n"
                               "2026-03-29 03:30:00.000 CEST [7] you@shop LOG:  duration: 1.0 ms  statement: SELECT 3\n"
                               "2026-10-25 02:30:00.000 CEST [7] me@shop LOG:  duration: 1.0 ms  statement: SELECT 4\n"
                               "2026-10-25 02:10:00.000 CET [7] me@shop LOG:  duration: 1.0 ms  statement: SELECT 5\n";
    static const struct {
        const char *from, *to, *database, *user;
        uint64_t n;
    } rows[] = {{NULL, NULL, NULL, NULL, 5},         {"2026-03-29 02:30", NULL, NULL, NULL, 4}, {NULL, "2026-03-29", NULL, NULL, 3},
                {"2026-03-29T03:00:01.000", "2026-03-29 03:29:59", NULL, NULL, 1}, {NULL, NULL, "shop", NULL, 4}, {NULL, NULL, "shop", "me", 3},
                {"2026-10-25 02:00", "2026-10-25 02:15", NULL, NULL, 1}, {NULL, NULL, "none", NULL, 0}};
    char *why;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        AdvFilterOptions o = {.from = rows[i].from, .to = rows[i].to};
        AdvFilter *f;
        if (rows[i].database)
            pw_str_list_add(&o.databases, rows[i].database, strlen(rows[i].database));
        if (rows[i].user)
            pw_str_list_add(&o.users, rows[i].user, strlen(rows[i].user));
        assert_int_equal(adv_filter_create(&o, &f, &why), PW_OK);
        AdvGather *g = gathered(text, f);
        assert_int_equal(adv_tally_counts(adv_gather_tally(g))->statements, rows[i].n);
        adv_gather_destroy(g);
        adv_filter_destroy(f);
        pw_str_list_finish(&o.databases);
        pw_str_list_finish(&o.users);
    }
    static const char *const bad[] = {"", "yesterday", "2026-1-1", "2026-01-02 3:04", "2026-01-02 03:04:05.6789"};
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        AdvFilterOptions o = {.from = bad[i]};
        AdvFilter *f;
        assert_int_equal(adv_filter_create(&o, &f, &why), PW_ERR_SYNTAX);
        free(why);
    }
    AdvFilterOptions o = {0};
    AdvFilter *f;
    pw_str_list_add(&o.exclude, "(", 1);
    assert_int_equal(adv_filter_create(&o, &f, &why), PW_ERR_SYNTAX);
    free(why);
    pw_str_list_finish(&o.exclude);
}

/* Latin 1 and torn UTF-8: every text is kept as valid UTF-8. */
static void test_other_encodings(void **state)
{
    (void)state;
    AdvShape **shapes;
    AdvGather *g = gathered("x LOG:  duration: 1.0 ms  statement: SELECT 'm\xfcller \xc3\xbc'\n", NULL);
    assert_string_equal(only_shape(g, &shapes)->samples[0].text, "SELECT 'm\xc3\xbcller \xc3\xbc'");
    free(shapes);
    adv_gather_destroy(g);
    /* Windows-1252, and a text in EUC-JP, which becomes another one, but one in UTF-8. */
    g = gathered("x LOG:  duration: 1.0 ms  statement: SELECT '\x80 5 \x93no\x94 \x81'\n", NULL);
    assert_string_equal(only_shape(g, &shapes)->samples[0].text, "SELECT '\xe2\x82\xac 5 \xe2\x80\x9cno\xe2\x80\x9d \xc2\x81'");
    free(shapes);
    adv_gather_destroy(g);
    g = gathered("x LOG:  duration: 1.0 ms  statement: SELECT '\xc6\xfc\xcb\xdc' FROM t\n", NULL);
    assert_string_equal(only_shape(g, &shapes)->samples[0].text, "SELECT '\xc3\x86\xc3\xbc\xc3\x8b\xc3\x9c' FROM t");
    free(shapes);
    adv_gather_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),           cmocka_unit_test(test_json_scan), cmocka_unit_test(test_what_counts), cmocka_unit_test(test_times_of_their_own),
        cmocka_unit_test(test_several_lines), cmocka_unit_test(test_syslog),    cmocka_unit_test(test_torn_csv),    cmocka_unit_test(test_troubles),
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_filters),   cmocka_unit_test(test_other_encodings),
        cmocka_unit_test(test_times),         cmocka_unit_test(test_notes),     cmocka_unit_test(test_troubles_in_words),
        cmocka_unit_test(test_json_array_in_blocks), cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
