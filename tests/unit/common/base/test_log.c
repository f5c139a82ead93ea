/* SPDX-License-Identifier: ISC */
#include "poolwise/log.h"
#include "poolwise/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pw-log-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/out.log", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    PwLogTarget quiet = {.to_stderr = true};
    pw_log_stop();
    pw_log_set_level(PW_LOG_LOG);
    assert_int_equal(pw_log_configure(&quiet), PW_OK);
    char cmd[160];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

static void log_to(const char *file)
{
    PwLogTarget target = {.file = file};
    assert_int_equal(pw_log_configure(&target), PW_OK);
}

/* The whole file, to be freed; a missing one fails the test. */
static char *slurp(const char *name, size_t *ret_len)
{
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    char *text = NULL;
    size_t cap = 0;
    ssize_t n = getdelim(&text, &cap, EOF, f);
    fclose(f);
    if (n < 0) {
        free(text);
        text = strdup("");
        n = 0;
    }
    if (ret_len != NULL)
        *ret_len = (size_t)n;
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    if (rc != 0)
        fail_msg("'%s' does not match '%s'", text, pattern);
}

/* How many lost lines the text tells of. */
static uint64_t told_in(const char *text)
{
    uint64_t sum = 0;
    while ((text = strstr(text, "WARNING log lines dropped: ")) != NULL) {
        text += strlen("WARNING log lines dropped: ");
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

static void test_shape(void **state)
{
    (void)state;
    log_to(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0); /* there before the first line */
    assert_int_equal(st.st_size, 0);

    pw_log_set_level(PW_LOG_NOISE);
    static const char *names[] = {"FATAL", "ERROR", "WARNING", "LOG", "DEBUG", "NOISE"};
    for (int level = 0; level < PW_LOG_COUNT; level++)
        pw_log((PwLogLevel)level, "number %d", level);
    char *text = slurp(path, NULL);
    char *line = strtok(text, "\n");
    for (int level = 0; level < PW_LOG_COUNT; level++, line = strtok(NULL, "\n")) {
        char pattern[160];
        snprintf(pattern, sizeof(pattern),
                 "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} [A-Za-z0-9+-]+ "
                 "\\[%d\\] %s number %d$",
                 (int)getpid(), names[level], level);
        assert_non_null(line);
        assert_matches(line, pattern);
    }
    assert_null(line);
    free(text);
}

static void test_levels(void **state)
{
    (void)state;
    log_to(path);
    pw_log_set_level(PW_LOG_WARNING);
    assert_true(pw_log_enabled(PW_LOG_FATAL));
    assert_true(pw_log_enabled(PW_LOG_WARNING));
    assert_false(pw_log_enabled(PW_LOG_LOG));
    pw_log(PW_LOG_LOG, "hidden");
    pw_log(PW_LOG_WARNING, "shown");
    char *text = slurp(path, NULL);
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "WARNING shown\n"));
    free(text);
}

static void test_escaping(void **state)
{
    (void)state;
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    pw_log(PW_LOG_LOG, "user \"%s\"",
           "a\n2026-01-01 00:00:00.000 UTC [1] FATAL forged\r\x1b[2J\t\x7f"
           "\xc3\xa9");
    pw_log_stop();
    char *text = slurp(path, NULL);
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "LOG user \"a\\n2026-01-01 00:00:00.000 UTC [1] FATAL forged"
                                 "\\x0d\\x1b[2J\\x09\\x7f\xc3\xa9\"\n"));
    free(text);
}

static void test_long_lines(void **state)
{
    (void)state;
    log_to(path);
    /* Two-byte characters: wherever the cut is, no half of one may remain. */
    for (int shift = 0; shift < 2; shift++) {
        char big[9001];
        memset(big, 'x', sizeof(big));
        for (size_t i = (size_t)shift; i + 2 < sizeof(big); i += 2)
            memcpy(big + i, "\xc3\xa9", 2);
        big[sizeof(big) - 1] = '\0';
        pw_log(PW_LOG_LOG, "%s", big);
    }
    size_t len;
    char *text = slurp(path, &len);
    assert_int_equal(count_lines(text), 2);
    size_t first = strcspn(text, "\n");
    assert_true(first > 5 && first < 4096);
    assert_true(len - first - 1 <= 4096);
    assert_memory_equal(text + first - 5, "\xc3\xa9...", 5);
    assert_memory_equal(text + len - 6, "\xc3\xa9...\n", 6);
    free(text);
}

/* The disk is full in the middle of a line, and later it is not. */
static void test_a_torn_line_stays_alone(void **state)
{
    (void)state;
    struct rlimit before, tight;
    log_to(path);
    pw_log(PW_LOG_LOG, "whole");
    size_t size;
    free(slurp(path, &size));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = size + 30;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    pw_log(PW_LOG_LOG, "torn torn torn torn torn torn");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    pw_log(PW_LOG_LOG, "whole again");
    char *text = slurp(path, &size);
    const char *torn = strchr(text + strlen("2"), '\n') + 1;
    const char *after = strchr(torn, '\n');
    assert_non_null(after);
    assert_int_equal(after - torn, 30);
    assert_memory_equal(after + 1, torn, 4); /* the year */
    assert_non_null(strstr(after, "LOG whole again\n"));
    free(text);
    assert_int_equal(pw_log_start(), PW_OK);
    pw_log(PW_LOG_LOG, "end");
    pw_log_stop();
    text = slurp(path, NULL);
    assert_non_null(strstr(text, "WARNING log lines dropped: 1, the log could not be written: File too large\n"));
    free(text);
}

static void test_errno_is_kept(void **state)
{
    (void)state;
    log_to(path);
    errno = ENOENT;
    pw_log(PW_LOG_LOG, "failed: %s", strerror(errno));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(pw_log_start(), PW_OK);
    errno = EPIPE;
    pw_log(PW_LOG_LOG, "again");
    assert_int_equal(errno, EPIPE);
    pw_log_stop();

    /* Even when the line is lost (ENOSPC), which is counted. */
    uint64_t before = pw_log_dropped();
    log_to("/dev/full");
    errno = ENOENT;
    pw_log(PW_LOG_LOG, "no room");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(pw_log_dropped() - before, 1);

    /* And told when there is room again. */
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    pw_log(PW_LOG_LOG, "room");
    pw_log_stop();
    char *text = slurp(path, NULL);
    assert_int_equal(told_in(text), 1);
    free(text);
}

#define THREADS 4
#define LINES   1500

static void *chatter(void *arg)
{
    for (int i = 0; i < LINES; i++)
        pw_log(PW_LOG_LOG, "thread %d line %d", (int)(intptr_t)arg, i);
    return NULL;
}

/* All lines of all threads are there, each thread's in its order, times never run backwards. */
static void test_order(void **state)
{
    (void)state;
    uint64_t dropped = pw_log_dropped();
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    assert_int_equal(pw_log_start(), PW_OK); /* twice is once */
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, (void *)i), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(pw_log_reopen(), PW_OK); /* RELOAD meanwhile */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pw_log_stop();
    assert_int_equal(pw_log_dropped(), dropped);

    char *text = slurp(path, NULL);
    int next[THREADS] = {0};
    size_t lines = 0;
    char last_stamp[24] = "";
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        int thread, number;
        const char *what = strstr(line, "thread ");
        assert_non_null(what);
        assert_int_equal(sscanf(what, "thread %d line %d", &thread, &number), 2);
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(number, next[thread]);
        next[thread]++;
        assert_true(strncmp(line, last_stamp, 23) >= 0);
        memcpy(last_stamp, line, 23);
    }
    assert_int_equal(lines, THREADS * LINES);
    free(text);
}

static void test_rotation(void **state)
{
    (void)state;
    char rotated[160];
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("was here\n", f);
    fclose(f);

    log_to(path);
    pw_log(PW_LOG_LOG, "one");
    assert_int_equal(rename(path, rotated), 0);
    pw_log(PW_LOG_LOG, "two");
    assert_int_equal(pw_log_reopen(), PW_OK);
    pw_log(PW_LOG_LOG, "three");

    char *old = slurp(rotated, NULL), *new = slurp(path, NULL);
    assert_memory_equal(old, "was here\n", 9); /* appended, not truncated */
    assert_non_null(strstr(old, "LOG one\n"));
    assert_non_null(strstr(old, "LOG two\n"));
    assert_null(strstr(old, "three"));
    assert_int_equal(count_lines(new), 1);
    assert_non_null(strstr(new, "LOG three\n"));
    free(old);
    free(new);
}

static void test_bad_targets_change_nothing(void **state)
{
    (void)state;
    log_to(path);
    PwLogTarget bad = {.file = "/nonexistent/dir/x.log"};
    assert_int_equal(pw_log_configure(&bad), PW_ERR_IO);
    assert_int_equal(errno, ENOENT);
    PwLogTarget odd = {.to_syslog = true, .syslog_facility = "local8"};
    assert_int_equal(pw_log_configure(&odd), PW_ERR_RANGE);
    pw_log(PW_LOG_LOG, "still here");
    char *text = slurp(path, NULL);
    assert_non_null(strstr(text, "LOG still here\n"));
    free(text);
}

static void read_some(int fd, char *into, size_t *len, size_t cap)
{
    ssize_t n = read(fd, into + *len, cap - 1 - *len);
    assert_true(n > 0);
    *len += (size_t)n;
    into[*len] = '\0';
}

/* A reader that does not read: the queue fills, callers go on, each hole is told in its place. */
static void test_drops(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint64_t before = pw_log_dropped();
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    enum { MANY = 20000 };
    char filler[101];
    memset(filler, 'f', 100);
    filler[100] = '\0';
    for (int i = 0; i < MANY; i++)
        pw_log(PW_LOG_LOG, "line %d %s", i, filler);
    uint64_t dropped = pw_log_dropped() - before;
    assert_true(dropped > 0 && dropped < MANY);

    size_t cap = (size_t)MANY * 200, len = 0;
    char *text = malloc(cap);
    assert_non_null(text);
    text[0] = '\0';
    while (told_in(text) < dropped)
        read_some(fd, text, &len, cap);
    pw_log(PW_LOG_LOG, "line %d after the hole", MANY);
    while (strstr(text, "after the hole\n") == NULL)
        read_some(fd, text, &len, cap);
    pw_log_stop();

    uint64_t expected = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *what = strstr(line, "LOG line ");
        if (what != NULL) {
            assert_int_equal(strtoull(what + 9, NULL, 10), expected);
            expected++;
        } else {
            expected += told_in(line);
        }
    }
    assert_int_equal(expected, MANY + 1);
    free(text);
    close(fd);
}

/* A target that never takes anything must not keep the process from ending; what it lost is told
 * as soon as lines can be written again. */
static void test_stop_with_stuck_target(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    char block[4096];
    memset(block, 0, sizeof(block));
    while (write(fd, block, sizeof(block)) > 0) {
    }
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    uint64_t before = pw_log_dropped();
    const int lines = 300; /* not each of them is waited for */
    for (int i = 0; i < lines; i++)
        pw_log(PW_LOG_LOG, "nobody will read this");
    PwUsec start = pw_time_mono();
    for (int i = 0; i < 1000; i++) /* waits once */
        assert_false(pw_log_settle());
    assert_true(pw_time_mono() - start < PW_USEC_PER_SEC);
    pw_log_stop();
    assert_int_equal(pw_log_dropped() - before, lines);
    close(fd);

    assert_int_equal(unlink(path), 0);
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    pw_log(PW_LOG_LOG, "better now");
    pw_log_stop();
    char *text = slurp(path, NULL);
    assert_int_equal(told_in(text), lines);
    assert_int_equal(count_lines(text), 2);
    free(text);
}

/* FATAL returns only when everything up to it is in the file: the process may end right after. */
static void test_fatal_flushes(void **state)
{
    (void)state;
    log_to(path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (pw_log_start() != PW_OK)
            _exit(2);
        for (int i = 0; i < 500; i++)
            pw_log(PW_LOG_LOG, "before %d", i);
        pw_log(PW_LOG_FATAL, "the end");
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    char *text = slurp(path, NULL);
    assert_int_equal(count_lines(text), 501);
    assert_non_null(strstr(text, "before 499\n"));
    assert_non_null(strstr(text, "FATAL the end\n"));
    free(text);
}

/* What was logged is in the file when somebody is about to hear of it. */
static void test_settle(void **state)
{
    (void)state;
    log_to(path);
    assert_int_equal(pw_log_start(), PW_OK);
    int settled = 0, missing = 0;
    for (int i = 1; i <= 200 || (settled == 0 && i <= 2200); i++) { /* on a machine that is busy some take too long */
        char line[32];
        pw_log(PW_LOG_LOG, "event %d", i);
        if (!pw_log_settle()) {
            usleep(10 * 1000); /* after one that took too long, the others of its second are not waited for */
            continue;
        }
        char *text = slurp(path, NULL);
        snprintf(line, sizeof(line), "event %d\n", i);
        missing += strstr(text, line) == NULL;
        settled++;
        free(text);
    }
    pw_log_stop();
    assert_int_equal(missing, 0);
    assert_true(settled > 0);
}

/* A line for who debugs is in the file before what comes after it: many in a row. */
static void test_debug_settles(void **state)
{
    (void)state;
    log_to(path);
    pw_log_set_level(PW_LOG_DEBUG);
    assert_int_equal(pw_log_start(), PW_OK);
    int in_a_row = 0;
    struct stat was = {0}, is;
    for (int i = 1; i <= 3000 && in_a_row < 50; i++) {
        pw_log(PW_LOG_DEBUG, "event");
        assert_int_equal(stat(path, &is), 0);
        in_a_row = is.st_size > was.st_size ? in_a_row + 1 : 0;
        was = is;
        if (!in_a_row)
            usleep(10 * 1000);
    }
    pw_log_stop();
    pw_log_set_level(PW_LOG_LOG);
    assert_int_equal(in_a_row, 50);
}

/* Both targets get the same line; stderr gets nothing when it is off. */
static void test_stderr(void **state)
{
    (void)state;
    char err_path[160];
    snprintf(err_path, sizeof(err_path), "%s/err", dir);
    int saved = dup(STDERR_FILENO), fd = open(err_path, O_CREAT | O_RDWR | O_APPEND, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    PwLogTarget both = {.file = path, .to_stderr = true};
    PwErr err = pw_log_configure(&both);
    pw_log(PW_LOG_LOG, "both");
    log_to(path);
    pw_log(PW_LOG_LOG, "file only");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(err, PW_OK);
    char *on_err = slurp(err_path, NULL), *in_file = slurp(path, NULL);
    assert_int_equal(count_lines(on_err), 1);
    assert_int_equal(count_lines(in_file), 2);
    assert_memory_equal(on_err, in_file, strlen(on_err));
    free(on_err);
    free(in_file);
}

/* The calls of syslog(3) are counted where they arrive: these stand before libc's in the link. */
static char syslogged[256];
static int syslog_priority, syslog_facility;
static char syslog_ident[64];

void openlog(const char *ident, int option, int facility);
void closelog(void);
void syslog(int priority, const char *fmt, ...) PW_PRINTF(2, 3);
void __syslog_chk(int priority, int flag, const char *fmt, ...) PW_PRINTF(3, 4);

void openlog(const char *ident, int option, int facility)
{
    (void)option;
    snprintf(syslog_ident, sizeof(syslog_ident), "%s", ident != NULL ? ident : "(none)");
    syslog_facility = facility;
}

void closelog(void)
{
}

void syslog(int priority, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(syslogged, sizeof(syslogged), fmt, args);
    va_end(args);
    syslog_priority = priority;
}

void __syslog_chk(int priority, int flag, const char *fmt, ...)
{
    (void)flag;
    va_list args;
    va_start(args, fmt);
    vsnprintf(syslogged, sizeof(syslogged), fmt, args);
    va_end(args);
    syslog_priority = priority;
}

static void test_syslog(void **state)
{
    (void)state;
    PwLogTarget target = {
        .to_syslog = true, .syslog_ident = "poolwise-a", .syslog_facility = "local3"};
    assert_int_equal(pw_log_configure(&target), PW_OK);
    assert_string_equal(syslog_ident, "poolwise-a");
    assert_int_equal(syslog_facility, 19 << 3);
    pw_log(PW_LOG_WARNING, "to %s\nnext", "syslog");
    assert_string_equal(syslogged, "to syslog\\nnext");
    assert_int_equal(syslog_priority, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escaping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_line_stays_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errno_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_targets_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_with_stuck_target, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fatal_flushes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_debug_settles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stderr, setup, teardown),
        cmocka_unit_test_setup_teardown(test_syslog, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
