/* SPDX-License-Identifier: ISC */
/* Two things are shared between threads.
 *
 * The queue: two byte arrays. Callers append records to `fill` under queue.lock; the writer swaps
 * the arrays and writes what it got without any lock. A full array drops the record and counts it.
 * The time is taken under the lock, so that lines and their times have one order.
 *
 *      pw_log --append--> [fill]  <-swap->  [drain] --one write a line--> targets
 *
 * The sink (where lines go) is immutable and reference counted: RELOAD swaps the pointer under
 * sink_lock, who writes holds a reference meanwhile, the last one closes the file. No lock is held
 * over I/O, so a stalled pipe or disk holds up the writer thread and nobody else. */
#include "poolwise/log.h"

#include "poolwise/mem.h"
#include "poolwise/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* With the stamp in front a line fits PIPE_BUF (4096): a pipe never tears or mixes it. */
#define TEXT_MAX       3968
#define LINE_MAX_BYTES 4096
#define QUEUE_BYTES    (1024 * 1024)
/* The end of the queue is kept for FATAL lines, the ones that explain the death. */
#define QUEUE_RESERVE  (4 * LINE_MAX_BYTES)
#define FATAL_WAIT_SEC 5
#define SETTLE_USEC    5000
/* How long pw_log_stop puts up with targets that take nothing, for all lines together. */
#define STOP_WAIT_MS 1000
#define POLL_MS      100

typedef struct LevelRow {
    const char *name;
    int priority;
} LevelRow;

static const LevelRow levels[] = {
    [PW_LOG_FATAL] = {"FATAL", LOG_CRIT},        [PW_LOG_ERROR] = {"ERROR", LOG_ERR},
    [PW_LOG_WARNING] = {"WARNING", LOG_WARNING}, [PW_LOG_LOG] = {"LOG", LOG_INFO},
    [PW_LOG_DEBUG] = {"DEBUG", LOG_DEBUG},       [PW_LOG_NOISE] = {"NOISE", LOG_DEBUG},
};
_Static_assert(PW_ARRAY_LEN(levels) == PW_LOG_COUNT, "a row for each level");

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON},
    {"user", LOG_USER},     {"local0", LOG_LOCAL0},     {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},     {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},     {"local7", LOG_LOCAL7},
};

typedef struct Sink {
    int refs;        /* sink_lock */
    int file_fd;     /* -1: none; closed with the last reference */
    bool file_polls; /* not a regular file: may block */
    bool torn;       /* the file ends in the middle of a line; who writes */
    bool to_stderr;
    bool stderr_problems;
    bool to_syslog;
    char *file;
    char *ident; /* syslog(3) keeps the pointer */
} Sink;

static Sink stderr_sink = {.refs = 1, .file_fd = -1, .to_stderr = true};
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static Sink *sink = &stderr_sink; /* sink_lock; never NULL */

typedef struct Record {
    PwUsec wall;
    uint32_t len; /* of the text that follows */
    uint32_t level;
} Record;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;  /* writer waits */
    pthread_cond_t written; /* FATAL callers wait; monotonic clock */
    pthread_t thread;
    bool running;          /* lock; lines go through the queue */
    bool sleeping;         /* lock; the writer needs a signal */
    uint8_t *fill;         /* lock */
    size_t fill_len;       /* lock */
    uint8_t *drain;        /* writer only */
    uint64_t batches;      /* lock; swaps so far */
    uint64_t batches_done; /* lock; swapped arrays that are written */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static atomic_int max_level = PW_LOG_LOG; /* relaxed: a switch, orders nothing */
static atomic_bool stopping;              /* relaxed: looked at again every POLL_MS */
static atomic_int stop_waited;            /* relaxed; ms of STOP_WAIT_MS that are used up */
static atomic_uint_fast64_t dropped;      /* relaxed: statistics */
static atomic_int write_error;            /* relaxed; why the last line that is not reported was not written; 0: the queue was full */
static atomic_uint_fast64_t unreported;   /* part of `dropped` that no line has told yet */

static Sink *sink_take(void)
{
    pthread_mutex_lock(&sink_lock);
    Sink *s = sink;
    s->refs++;
    pthread_mutex_unlock(&sink_lock);
    return s;
}

static void sink_drop(Sink *s)
{
    pthread_mutex_lock(&sink_lock);
    int left = --s->refs;
    pthread_mutex_unlock(&sink_lock);
    if (left > 0 || s == &stderr_sink)
        return;
    if (s->file_fd >= 0)
        close(s->file_fd);
    free(s->file);
    free(s->ident);
    free(s);
}

static void sink_swap(Sink *fresh)
{
    pthread_mutex_lock(&sink_lock);
    Sink *old = sink;
    sink = fresh;
    pthread_mutex_unlock(&sink_lock);
    sink_drop(old);
}

/* Waits until a pipe takes a whole line; gives up when the process wants to end. */
static bool wait_writable(int fd)
{
    for (;;) {
        bool in_time = atomic_load_explicit(&stop_waited, memory_order_relaxed) < STOP_WAIT_MS;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int n = poll(&p, 1, in_time ? POLL_MS : 0);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true; /* write() will tell an error */
        if (!in_time)
            return false;
        if (atomic_load_explicit(&stopping, memory_order_relaxed))
            atomic_fetch_add_explicit(&stop_waited, POLL_MS, memory_order_relaxed);
    }
}

/* How much of it was written. */
static size_t write_all(int fd, const char *line, size_t len, bool polls)
{
    const char *begin = line;
    while (len > 0) {
        if (polls && !wait_writable(fd))
            break;
        ssize_t n = write(fd, line, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) { /* somebody made our stderr non-blocking */
                polls = true;
                continue;
            }
            break;
        }
        line += n;
        len -= (size_t)n;
    }
    return (size_t)(line - begin);
}

static bool fd_polls(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
}

/* What a full disk has cut stays a line of its own. */
static bool write_file(Sink *s, const char *line, size_t len)
{
    size_t n = 0;
    errno = 0;
    if (!s->torn || write_all(s->file_fd, "\n", 1, s->file_polls) == 1) {
        n = write_all(s->file_fd, line, len, s->file_polls);
        s->torn = n > 0 && n < len;
    }
    if (n < len && errno != 0)
        atomic_store_explicit(&write_error, errno, memory_order_relaxed);
    return n == len;
}

/* One line to all targets; false when a target did not take it. */
static bool sink_write(Sink *s, PwUsec wall, PwLogLevel level, const char *text, size_t len)
{
    char line[LINE_MAX_BYTES], stamp[64];
    bool ok = true;
    bool to_stderr = s->to_stderr && (!s->stderr_problems || level <= PW_LOG_WARNING);
    if (s->file_fd >= 0 || to_stderr) {
        int n = snprintf(line, sizeof(line), "%s [%d] %s %.*s\n",
                         pw_time_format_log(wall, stamp, sizeof(stamp)), (int)getpid(),
                         levels[level].name, (int)len, text);
        size_t size = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
        if (s->file_fd >= 0 && !write_file(s, line, size))
            ok = false;
        /* A closed stderr is a choice, not a loss. With -q it still gets why the process ends, if the file does not. */
        if (to_stderr || (!ok && level == PW_LOG_FATAL))
            (void)write_all(STDERR_FILENO, line, size, fd_polls(STDERR_FILENO));
    }
    if (s->to_syslog)
        syslog(levels[level].priority, "%.*s", (int)len, text);
    return ok;
}

static void emit(PwUsec wall, PwLogLevel level, const char *text, size_t len)
{
    Sink *s = sink_take();
    if (!sink_write(s, wall, level, text, len)) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&unreported, 1, memory_order_relaxed);
    }
    sink_drop(s);
}

/* Says how many lines are missing here; a report that cannot be written is tried again later. */
static void report_drops(uint64_t count)
{
    char text[160];
    int error = atomic_exchange_explicit(&write_error, 0, memory_order_relaxed);
    int len = snprintf(text, sizeof(text), "log lines dropped: %llu, the log could not be written%s%s", (unsigned long long)count,
                       error ? ": " : " fast enough", error ? strerror(error) : "");
    Sink *s = sink_take();
    if (sink_write(s, pw_time_wall(), PW_LOG_WARNING, text, (size_t)len))
        atomic_fetch_sub_explicit(&unreported, count, memory_order_relaxed);
    sink_drop(s);
}

static void *writer_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&queue.lock);
    for (;;) {
        while (queue.fill_len == 0 && !atomic_load_explicit(&stopping, memory_order_relaxed)) {
            queue.sleeping = true;
            pthread_cond_wait(&queue.filled, &queue.lock);
            queue.sleeping = false;
        }
        if (queue.fill_len == 0)
            break;
        uint8_t *batch = queue.fill;
        size_t len = queue.fill_len;
        queue.fill = queue.drain;
        queue.fill_len = 0;
        queue.drain = batch;
        queue.batches++;
        /* Lines are dropped only while `fill` is full: these are missing right after the batch. */
        uint64_t missing = atomic_load_explicit(&unreported, memory_order_relaxed);
        pthread_mutex_unlock(&queue.lock);

        for (size_t at = 0; at < len;) {
            Record rec;
            memcpy(&rec, batch + at, sizeof(rec));
            emit(rec.wall, (PwLogLevel)rec.level, (const char *)batch + at + sizeof(rec), rec.len);
            at += sizeof(rec) + rec.len;
        }
        if (missing > 0)
            report_drops(missing);

        pthread_mutex_lock(&queue.lock);
        queue.batches_done++;
        pthread_cond_broadcast(&queue.written);
    }
    queue.running = false;
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

/* Control bytes would let a client forge lines or steer a terminal. Returns the length, at most
 * TEXT_MAX. */
static size_t escape(const char *in, char *out)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (; *in != '\0'; in++) {
        unsigned char c = (unsigned char)*in;
        bool control = c < 0x20 || c == 0x7f;
        if (n + (control ? 4 : 1) > TEXT_MAX - 3)
            break;
        if (!control) {
            out[n++] = (char)c;
        } else if (c == '\n') {
            out[n++] = '\\';
            out[n++] = 'n';
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    if (*in != '\0') {
        /* Cut before, not within, a UTF-8 character. */
        if (((unsigned char)*in & 0xc0) == 0x80) {
            while (n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80)
                n--;
            if (n > 0 && (unsigned char)out[n - 1] >= 0xc0)
                n--;
        }
        memcpy(out + n, "...", 3);
        n += 3;
    }
    return n;
}

/* Appends under queue.lock; false when the line had to be dropped. */
static bool append(PwLogLevel level, const char *text, size_t len)
{
    size_t room = level == PW_LOG_FATAL ? QUEUE_BYTES : QUEUE_BYTES - QUEUE_RESERVE;
    Record rec = {.wall = pw_time_wall(), .len = (uint32_t)len, .level = (uint32_t)level};
    if (queue.fill_len + sizeof(rec) + len > room) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&unreported, 1, memory_order_relaxed);
        return false;
    }
    memcpy(queue.fill + queue.fill_len, &rec, sizeof(rec));
    memcpy(queue.fill + queue.fill_len + sizeof(rec), text, len);
    queue.fill_len += sizeof(rec) + len;
    if (queue.sleeping)
        pthread_cond_signal(&queue.filled);
    return true;
}

/* Under queue.lock: until everything appended so far is written, but not for ever. False: the limit came first. */
static bool wait_written(PwUsec limit)
{
    uint64_t target = queue.batches + (queue.fill_len > 0 ? 1 : 0);
    PwUsec end = pw_time_mono() + limit;
    struct timespec until = {.tv_sec = end / PW_USEC_PER_SEC, .tv_nsec = end % PW_USEC_PER_SEC * 1000};
    while (queue.running && queue.batches_done < target) {
        if (pthread_cond_timedwait(&queue.written, &queue.lock, &until) == ETIMEDOUT)
            return false;
    }
    return true;
}

/* Under queue.lock. After one that took too long, the next are not waited for within a second. */
static bool settle(void)
{
    static PwUsec stuck_at; /* queue.lock */
    bool try = stuck_at == 0 || pw_time_mono() - stuck_at > PW_USEC_PER_SEC;
    bool settled = wait_written(try ? SETTLE_USEC : 0);
    if (settled)
        stuck_at = 0;
    else if (try)
        stuck_at = pw_time_mono();
    return settled;
}

bool pw_log_settle(void)
{
    pthread_mutex_lock(&queue.lock);
    bool settled = settle();
    pthread_mutex_unlock(&queue.lock);
    return settled;
}

void pw_log(PwLogLevel level, const char *fmt, ...)
{
    if (!pw_log_enabled(level))
        return;
    int saved_errno = errno;
    char raw[TEXT_MAX + 1], text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    size_t len = escape(raw, text);

    pthread_mutex_lock(&queue.lock);
    bool queued = queue.running;
    if (queued) {
        (void)append(level, text, len);
        if (level == PW_LOG_FATAL)
            (void)wait_written(FATAL_WAIT_SEC * PW_USEC_PER_SEC);
        else if (level >= PW_LOG_DEBUG) /* who debugs reads the file beside what clients see */
            (void)settle();
    }
    pthread_mutex_unlock(&queue.lock);
    if (!queued)
        emit(pw_time_wall(), level, text, len);
    errno = saved_errno;
}

void pw_log_last_words(const char *text, size_t len)
{
    if (pthread_mutex_trylock(&sink_lock) != 0)
        return;
    Sink words = {.file_fd = sink->file_fd, .file_polls = sink->file_polls};
    (void)sink_write(&words, pw_time_wall(), PW_LOG_FATAL, text, len);
    pthread_mutex_unlock(&sink_lock);
}

static bool find_facility(const char *name, int *ret_facility)
{
    if (name == NULL || *name == '\0')
        name = "daemon";
    for (size_t i = 0; i < PW_ARRAY_LEN(facilities); i++) {
        if (strcmp(facilities[i].name, name) == 0) {
            *ret_facility = facilities[i].facility;
            return true;
        }
    }
    return false;
}

PwErr pw_log_configure(const PwLogTarget *target)
{
    int facility = LOG_DAEMON, fd = -1;
    bool has_file = target->file != NULL && *target->file != '\0';
    if (target->to_syslog && !find_facility(target->syslog_facility, &facility))
        return PW_ERR_RANGE;
    if (has_file) {
        fd = open(target->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0)
            return PW_ERR_IO;
    }

    Sink *fresh = pw_xcalloc(1, sizeof(*fresh));
    fresh->refs = 1;
    fresh->file_fd = fd;
    fresh->file_polls = fd >= 0 && fd_polls(fd);
    fresh->to_stderr = target->to_stderr;
    fresh->stderr_problems = target->stderr_problems;
    fresh->to_syslog = target->to_syslog;
    fresh->file = has_file ? pw_xstrdup(target->file) : NULL;
    if (target->to_syslog) {
        const char *ident = target->syslog_ident;
        fresh->ident = ident != NULL && *ident != '\0' ? pw_xstrdup(ident) : NULL;
        /* syslog(3) and openlog(3) share a lock: once this returns nobody reads the old ident. */
        openlog(fresh->ident, LOG_PID | LOG_NDELAY, facility);
    } else {
        closelog();
    }
    sink_swap(fresh);
    return PW_OK;
}

PwErr pw_log_reopen(void)
{
    Sink *old = sink_take();
    PwErr err = PW_OK;
    if (old->file_fd >= 0) {
        int fd = open(old->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0) {
            err = PW_ERR_IO;
        } else {
            Sink *fresh = pw_xcalloc(1, sizeof(*fresh));
            *fresh = (Sink){.refs = 1,
                            .file_fd = fd,
                            .file_polls = fd_polls(fd),
                            .to_stderr = old->to_stderr,
                            .stderr_problems = old->stderr_problems,
                            .to_syslog = old->to_syslog,
                            .file = pw_xstrdup(old->file)};
            /* syslog(3) holds this very pointer, so it moves on. No other thread reads it. */
            fresh->ident = old->ident;
            old->ident = NULL;
            sink_swap(fresh);
        }
    }
    int saved_errno = errno;
    sink_drop(old);
    errno = saved_errno;
    return err;
}

void pw_log_set_level(PwLogLevel most_verbose)
{
    atomic_store_explicit(&max_level, (int)most_verbose, memory_order_relaxed);
}

bool pw_log_enabled(PwLogLevel level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

PwErr pw_log_start(void)
{
    pthread_mutex_lock(&queue.lock);
    bool running = queue.running;
    pthread_mutex_unlock(&queue.lock);
    if (running)
        return PW_OK;

    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.written, &attr);
    pthread_condattr_destroy(&attr);
    queue.fill = pw_xmalloc(QUEUE_BYTES);
    queue.drain = pw_xmalloc(QUEUE_BYTES);
    queue.fill_len = 0;
    queue.batches = queue.batches_done = 0;
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    atomic_store_explicit(&stop_waited, 0, memory_order_relaxed);
    queue.running = true;

    /* Signals belong to the main thread; the new thread inherits a full mask. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&queue.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        queue.running = false;
        free(queue.fill);
        free(queue.drain);
        queue.fill = queue.drain = NULL;
        pthread_cond_destroy(&queue.written);
        errno = rc;
        return PW_ERR_IO;
    }
    (void)pthread_setname_np(queue.thread, "log");
    return PW_OK;
}

void pw_log_stop(void)
{
    pthread_mutex_lock(&queue.lock);
    bool running = queue.running;
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
    if (!running)
        return;
    pthread_join(queue.thread, NULL);
    free(queue.fill);
    free(queue.drain);
    queue.fill = queue.drain = NULL;
    pthread_cond_destroy(&queue.written);
}

uint64_t pw_log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}
