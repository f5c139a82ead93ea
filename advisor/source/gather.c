/* SPDX-License-Identifier: ISC */
#include "advisor/source/gather.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "advisor/source/input.h"
#include "advisor/source/progress.h"
#include "advisor/source/reader.h"
#include "poolwise/mem.h"

#define JOBS_MAX 32
#define TICK_MS 100

/* What a block left open, until the blocks before it are done. */
typedef struct Late {
    uint64_t number;
    AdvPendings pendings;
} Late;

typedef struct Worker {
    AdvGather *gather;
    pthread_t thread;
    AdvReader reader;
    AdvBlock block;
} Worker;

struct AdvGather {
    const AdvFilter *filter;
    AdvTally *tally; /* what is put together */
    bool progress, interrupted;
    unsigned jobs;
    Worker *workers;
    uint64_t done_bytes, all_bytes;
    /* Of the file in hand: */
    AdvInput *input;
    const AdvForm *form;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t idle;  /* running has become 0 */
    unsigned running;
    uint64_t next;        /* number of the block whose pendings are due */
    size_t n_late, cap_late;
    Late *late;
    AdvPendings carry;
    AdvTally *times; /* those that found their statement in an earlier block */
};

/* ---- Ctrl-C ---- */

static atomic_bool interrupt_seen;

static void on_interrupt(int signo)
{
    (void)signo;
    atomic_store(&interrupt_seen, true);
}

AdvGather *adv_gather_create(const AdvFilter *filter, unsigned jobs, bool progress)
{
    AdvGather *g = pw_xcalloc(1, sizeof(*g));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    g->filter = filter;
    g->tally = adv_tally_create();
    g->times = adv_tally_create();
    g->progress = progress && isatty(STDERR_FILENO);
    g->jobs = jobs ? jobs : cores > 0 ? (unsigned)cores : 1;
    g->jobs = g->jobs < JOBS_MAX ? g->jobs : JOBS_MAX;
    g->workers = pw_xcalloc(g->jobs, sizeof(*g->workers));
    for (unsigned i = 0; i < g->jobs; i++) {
        g->workers[i].gather = g;
        adv_reader_init(&g->workers[i].reader, filter);
    }
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->idle, NULL);
    return g;
}

void adv_gather_destroy(AdvGather *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < g->jobs; i++) {
        adv_reader_finish(&g->workers[i].reader);
        free(g->workers[i].block.data);
    }
    free(g->workers);
    free(g->late);
    adv_pendings_finish(&g->carry);
    adv_tally_destroy(g->times);
    adv_tally_destroy(g->tally);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->idle);
    free(g);
}

static void renew(AdvTally **tally)
{
    adv_tally_destroy(*tally);
    *tally = adv_tally_create();
}

AdvTally *adv_gather_tally(AdvGather *g)
{
    for (unsigned i = 0; i < g->jobs; i++) {
        adv_tally_merge(g->tally, g->workers[i].reader.tally);
        renew(&g->workers[i].reader.tally);
    }
    adv_tally_merge(g->tally, g->times);
    renew(&g->times);
    return g->tally;
}

bool adv_gather_interrupted(const AdvGather *g)
{
    return g->interrupted;
}

/* ---- blocks ---- */

/* Under the lock: in the order of the file, whoever read what. */
static void hand_in(AdvGather *g, uint64_t number, AdvPendings *pendings)
{
    if (number != g->next) {
        if (g->n_late == g->cap_late) {
            g->cap_late = 2 * g->cap_late + 8;
            g->late = pw_xrealloc(g->late, g->cap_late * sizeof(*g->late));
        }
        g->late[g->n_late++] = (Late){number, *pendings};
        *pendings = (AdvPendings){0};
        return;
    }
    adv_carry_block(&g->carry, pendings, g->times);
    g->next++;
    for (size_t i = 0; i < g->n_late;)
        if (g->late[i].number == g->next) {
            adv_carry_block(&g->carry, &g->late[i].pendings, g->times);
            g->next++;
            g->late[i] = g->late[--g->n_late];
            i = 0;
        } else {
            i++;
        }
}

static void work(Worker *w)
{
    AdvGather *g = w->gather;
    while (adv_input_next(g->input, g->form, &w->block)) {
        w->reader.n_messages = 0;
        g->form->read(&w->reader, w->block.data, w->block.len);
        pthread_mutex_lock(&g->lock);
        hand_in(g, w->block.number, &w->reader.pendings);
        pthread_mutex_unlock(&g->lock);
    }
    if (g->form->finish)
        g->form->finish(&w->reader);
}

static void *worker_main(void *arg)
{
    Worker *w = arg;
    work(w);
    pthread_mutex_lock(&w->gather->lock);
    if (--w->gather->running == 0)
        pthread_cond_signal(&w->gather->idle);
    pthread_mutex_unlock(&w->gather->lock);
    return NULL;
}

/* ---- one file ---- */

/* Waits for the workers; meanwhile shows how far they are. */
static void watch(AdvGather *g, AdvProgress *progress)
{
    pthread_mutex_lock(&g->lock);
    while (g->running > 0) {
        struct timespec until;
        uint64_t taken, size;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&g->idle, &g->lock, &until);
        pthread_mutex_unlock(&g->lock);
        if (atomic_load(&interrupt_seen) && !g->interrupted) {
            g->interrupted = true;
            signal(SIGINT, SIG_DFL); /* who cannot wait says it twice */
        }
        adv_input_progress(g->input, &taken, &size);
        if (progress)
            adv_progress_show(progress, g->done_bytes + taken, g->all_bytes);
        pthread_mutex_lock(&g->lock);
    }
    pthread_mutex_unlock(&g->lock);
}

static void run_workers(AdvGather *g, uint64_t size, AdvProgress *progress)
{
    sigset_t block, before;
    unsigned n = g->form->serial || g->form->whole ? 1 : g->jobs, started = 0;
    if (size > 0 && size / (1024 * 1024) + 1 < n)
        n = (unsigned)(size / (1024 * 1024)) + 1;
    sigemptyset(&block);
    sigaddset(&block, SIGINT); /* for the thread that watches */
    pthread_sigmask(SIG_BLOCK, &block, &before);
    g->running = n;
    for (; started < n; started++)
        if (pthread_create(&g->workers[started].thread, NULL, worker_main, &g->workers[started]))
            break;
    if (started < n) { /* no more threads to be had: with fewer, or in this one */
        pthread_mutex_lock(&g->lock);
        g->running -= n - started;
        pthread_mutex_unlock(&g->lock);
        if (started == 0)
            work(&g->workers[0]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watch(g, progress);
    for (unsigned i = 0; i < started; i++)
        pthread_join(g->workers[i].thread, NULL);
}

typedef struct Totals {
    uint64_t messages, statements, bad, unplaced, explained, troubles;
} Totals;

static Totals totals_of(const AdvGather *g)
{
    Totals t = {0};
    for (unsigned i = 0; i < g->jobs; i++) {
        const AdvReader *r = &g->workers[i].reader;
        const AdvTallyCounts *c = adv_tally_counts(r->tally);
        t.messages += c->messages;
        t.statements += c->statements;
        t.bad += c->bad;
        t.unplaced += r->unplaced;
        t.explained += adv_tally_counts(r->explained)->statements;
        t.troubles += c->temp_files + c->lock_waits;
    }
    return t;
}

/* auto_explain repeats what log_min_duration_statement tells: it counts when that is off. */
static void settle_explained(AdvGather *g, bool count)
{
    for (unsigned i = 0; i < g->jobs; i++) {
        AdvReader *r = &g->workers[i].reader;
        if (adv_tally_counts(r->explained)->statements == 0)
            continue;
        if (count)
            adv_tally_merge(r->tally, r->explained);
        renew(&r->explained);
    }
}

/* A part of a summary is no summary: its sums are those of the whole. */
static bool is_torn_summary(AdvGather *g)
{
    AdvSummaryLines all = {0};
    for (unsigned i = 0; i < g->jobs; i++) {
        AdvSummaryLines *lines = &g->workers[i].reader.lines;
        all.due += lines->due;
        all.unknown = all.unknown || lines->unknown;
        *lines = (AdvSummaryLines){0};
    }
    return g->form == &adv_form_summary && (adv_input_why(g->input) || (all.due != 0 && !all.unknown));
}

static const char *error_of(AdvGather *g)
{
    bool torn = is_torn_summary(g);
    for (unsigned i = 0; i < g->jobs; i++)
        if (g->workers[i].reader.error)
            return g->workers[i].reader.error;
    return torn && !atomic_load(&interrupt_seen) ? "is torn: not all of its lines are there" : NULL;
}

/* Reads g->input with g->form. */
static Totals read_input(AdvGather *g, uint64_t size, AdvProgress *progress)
{
    g->next = 0;
    g->n_late = 0;
    Totals before = totals_of(g);
    run_workers(g, size, progress);
    adv_pendings_finish(&g->carry);
    Totals t = totals_of(g);
    t.messages -= before.messages;
    t.statements -= before.statements;
    t.bad -= before.bad;
    t.unplaced -= before.unplaced;
    t.troubles -= before.troubles;
    settle_explained(g, t.statements == 0);
    return t;
}

PwErr adv_gather_text(AdvGather *g, const char *text, size_t len)
{
    g->input = adv_input_open_text(text, len);
    AdvSlice head = adv_input_head(g->input);
    g->form = adv_form_of(head.p, head.n);
    if (g->form) {
        g->next = 0;
        work(&g->workers[0]);
        adv_pendings_finish(&g->carry);
        settle_explained(g, totals_of(g).statements == 0);
    }
    adv_input_close(g->input);
    g->input = NULL;
    return g->form ? PW_OK : PW_ERR_UNSUPPORTED;
}

static void __attribute__((format(printf, 2, 3))) note(AdvGather *g, const char *fmt, ...)
{
    char text[ADV_NOTE_LEN_MAX / 3];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    adv_notes_add(adv_tally_notes(g->tally), text);
}

static void tell(AdvGather *g, const char *path, const Totals *t)
{
    const char *why = adv_input_why(g->input);
    if (why)
        note(g, "%s: %s; what could be read until then counts", path, why);
    if (t->bad > 0 && g->form != &adv_form_summary) /* which has the notes of its logs */
        note(g, "%s: %llu lines or records cannot be read and are left out", path, (unsigned long long)t->bad);
    if (t->unplaced > 0)
        note(g, "%s: %llu entries are left out since they do not tell what a filter asks for (time, database, user or application); "
                    "--log-line-prefix helps when the prefix of a log is unusual",
             path, (unsigned long long)t->unplaced);
    else if (t->statements == 0 && t->explained == 0 && t->troubles == 0 && g->form->told && !g->interrupted && !adv_filter_asks_entries(g->filter))
        note(g, "%s (%s) tells of no statement: set log_min_duration_statement = 0 (or a small time) for a while", path, g->form->name);
    else if (t->messages == 0 && !g->form->told && !g->interrupted && !adv_filter_asks_entries(g->filter))
        note(g, "%s holds no query yet", path);
}

static PwErr no_log(AdvGather *g, const AdvFile *file, AdvSlice head, char **ret_why)
{
    bool utf16 = adv_slice_begins(head, "\xff\xfe", 2) || adv_slice_begins(head, "\xfe\xff", 2);
    if (!file->named) {
        note(g, "%s is no log and was passed over", file->path);
        return PW_OK;
    }
    *ret_why = utf16 ? pw_xasprintf("%s is UTF-16 text\nhint: iconv -f UTF-16 -t UTF-8 makes a log of it that can be read", file->path)
                     : pw_xasprintf("%s is no log that is known\n"
                                    "hint: give SQL scripts with --sql; known are logs of PostgreSQL (text, CSV, JSON, syslog), also those of RDS, Cloud SQL and Azure, "
                                    "pg_stat_statements as CSV with a header, the query log of the pooler and what advisor collect writes",
                                    file->path);
    return PW_ERR_SYNTAX;
}

/* While others were read the log may have been rotated: what was named then is meant, not what has its name now. */
static PwErr open_input(AdvGather *g, const AdvFile *file, char **ret_why)
{
    PwErr err = adv_input_open(file->path, &interrupt_seen, &g->input, ret_why);
    bool other = !err && file->inode && !adv_input_is(g->input, file->device, file->inode);
    if ((!err && !other) || !file->inode || atomic_load(&interrupt_seen))
        return err;
    char *path = adv_files_moved(file);
    if (!err)
        adv_input_close(g->input);
    g->input = NULL;
    if (!path && err)
        return err;
    if (!path) {
        *ret_why = pw_xasprintf("%s was rotated away while others were read", file->path);
        return PW_ERR_IO;
    }
    if (err)
        free(*ret_why);
    err = adv_input_open(path, &interrupt_seen, &g->input, ret_why);
    free(path);
    return err;
}

static PwErr read_opened(AdvGather *g, const AdvFile *file, AdvProgress *progress, char **ret_why)
{
    AdvSlice head = adv_input_head(g->input);
    const char *broken = adv_input_why(g->input);
    g->form = adv_form_of(head.p, head.n);
    if (head.n == 0 && broken) {
        *ret_why = pw_xasprintf("cannot read %s: %s", file->path, broken);
        return PW_ERR_IO;
    }
    if (head.n == 0 && !atomic_load(&interrupt_seen))
        note(g, "%s is empty (a pooler writes its query log once in query_log_interval, a minute by default)", file->path);
    if (head.n == 0)
        return PW_OK;
    if (!g->form)
        return no_log(g, file, head, ret_why);
    Totals t = read_input(g, file->size, progress);
    const char *error = error_of(g);
    if (error) {
        *ret_why = pw_xasprintf("%s %s", file->path, error);
        return PW_ERR_UNSUPPORTED;
    }
    for (unsigned i = 0; i < g->jobs; i++) { /* of a summary; in the order of the files */
        AdvNotes *notes = adv_tally_notes(g->workers[i].reader.tally);
        adv_notes_append(adv_tally_notes(g->tally), notes);
        adv_notes_finish(notes);
    }
    tell(g, file->path, &t);
    return PW_OK;
}

static PwErr gather_file(AdvGather *g, const AdvFile *file, AdvProgress *progress, char **ret_why)
{
    PwErr err = open_input(g, file, ret_why);
    if (!err)
        err = read_opened(g, file, progress, ret_why);
    g->done_bytes += file->size;
    adv_input_close(g->input);
    g->input = NULL;
    bool stopped = atomic_load(&interrupt_seen) && !g->interrupted;
    g->interrupted = g->interrupted || stopped;
    if (err == PW_ERR_IO && (stopped || !file->named)) { /* one of many must not keep the others from being read */
        if (!stopped)
            note(g, "%s; it was passed over", *ret_why);
        free(*ret_why);
        err = PW_OK;
    }
    return err;
}

PwErr adv_gather_files(AdvGather *g, const AdvFiles *files, char **ret_why)
{
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    AdvProgress progress;
    PwErr err = PW_OK;
    size_t done = 0;
    atomic_store(&interrupt_seen, false);
    sigaction(SIGINT, &action, &before);
    g->all_bytes = files->size;
    if (g->progress)
        adv_progress_start(&progress);
    for (; !err && done < files->n && !g->interrupted; done++)
        err = gather_file(g, &files->items[done], g->progress ? &progress : NULL, ret_why);
    if (g->progress)
        adv_progress_end(&progress);
    sigaction(SIGINT, &before, NULL);
    adv_tally_counts(g->tally)->twins += files->twins;
    if (g->interrupted)
        note(g, "the reading was interrupted in file %zu of %zu: this is what was read until then", done, files->n);
    return err;
}
