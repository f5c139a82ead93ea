/* SPDX-License-Identifier: ISC */
/* capture.h - what passes is counted: one table of queries per worker, merged on demand.
 *
 * A table and everything in it belongs to one worker: no locks. A QueryMerge is carried from worker to worker
 * (worker_tour) and belongs to whoever holds it; a finished one may be read by any one thread.
 *
 *   client --QueryIdent--> table --(text hash, ident)--> cache slot ----------> QueryEntry --done--> counts
 *                                      miss: fingerprint --(fingerprint, ident)--^
 *
 * In steady state (texts or at least fingerprints already known) nothing is allocated.
 *
 * Each entry counts "since the last log" and folds that into its totals when the interval is collected, so a
 * call is counted once, in exactly one interval. When the table is full the entry not used for longest (by a
 * second-chance clock) makes room; its numbers go on under "other" (fingerprint 0), so sums stay exact. */
#ifndef POOLER_CAPTURE_CAPTURE_H
#define POOLER_CAPTURE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "poolwise/time.h"
#include "poolwise/workload.h"

typedef struct QueryTable QueryTable;
typedef struct QueryIdent QueryIdent; /* (database, user, application_name), interned in its table */
typedef struct QueryEntry QueryEntry;
typedef struct QueryMerge QueryMerge;

/* Longer names are cut (at a UTF-8 boundary): NAMEDATALEN is 64, application_name as PostgreSQL cuts it. */
#define QUERY_NAME_MAX 63

/* `max_queries` >= 1 bounds the entries; `samples` = query_log_samples (0: no values are kept). */
QueryTable *query_table_create(unsigned max_queries, unsigned samples);
void query_table_destroy(QueryTable *table); /* NULL is fine; no entry may be in use and no ident held */
void query_table_set_samples(QueryTable *table, unsigned samples); /* RELOAD; 0 frees those kept */

/* ---- the hot path, on the table's worker ---- */

/* Takes a reference; a client gets its ident after login and again when its application_name changes.
 * NULL counts as "". */
QueryIdent *query_ident_acquire(QueryTable *table, const char *database, const char *user,
                                const char *application_name);
void query_ident_release(QueryTable *table, QueryIdent *ident); /* NULL is fine */

/* Hash of a raw text for query_table_observe_hashed: kept with a prepared statement it is computed once. */
uint64_t query_text_hash(const char *sql, size_t len);

/* The entry of a text, created if need be; never NULL. Ends with exactly one query_entry_done or _drop; until then the
 * entry stays. `lex_flags`: PW_LEX_BACKSLASH when the client's standard_conforming_strings is off. */
QueryEntry *query_table_observe(QueryTable *table, QueryIdent *ident, const char *sql, size_t len, unsigned lex_flags);
QueryEntry *query_table_observe_hashed(QueryTable *table, QueryIdent *ident, uint64_t text_hash, const char *sql,
                                       size_t len, unsigned lex_flags);

/* Keeps one execution as a sample if this entry has room for one in this interval; does nothing when samples
 * are off. `bind` is the payload of the Bind message (after type and length), NULL for the simple protocol. */
void query_entry_sample(QueryTable *table, QueryEntry *entry, const char *sql, size_t len, const uint8_t *bind,
                        size_t bind_len);

/* The query ended: counts it and gives the reference back. `sqlstate` is NULL (or "") for success. */
void query_entry_done(QueryEntry *entry, PwUsec server_usec, PwUsec wait_usec, uint64_t rows, uint64_t bytes_in,
                      uint64_t bytes_out, const char *sqlstate);
void query_entry_drop(QueryEntry *entry); /* it never reached a server: not counted */

/* One more execution of a text that was observed already (Bind and Execute of a statement); ends like observe's. */
QueryEntry *query_entry_ref(QueryEntry *entry);

uint64_t query_entry_fingerprint(const QueryEntry *entry);

/* A byte for the caller's use that stays with the fingerprint, 0 at first. NULL where texts with
 * different ends may have met: "other", and texts too long to be kept. */
uint8_t *query_entry_note(QueryEntry *entry);

/* ---- what the table itself did; on its worker ---- */

typedef struct QueryTableStats {
    uint64_t entries, max_queries, idents;
    uint64_t bytes; /* memory of the table, for SHOW MEM */
    uint64_t observed, cache_hits, created, evicted;
    uint64_t overflowed; /* counted under "other" at once: every entry was in use */
    uint64_t samples_kept;
} QueryTableStats;

void query_table_stats(const QueryTable *table, QueryTableStats *ret_stats);

/* ---- merging ---- */

typedef enum QueryCollect {
    QUERY_COLLECT_TOTALS,   /* since start; changes nothing in the tables: SHOW QUERIES, /metrics */
    QUERY_COLLECT_INTERVAL, /* since the last interval collection, which starts anew: only the log, one at a time */
    QUERY_COLLECT_COUNT
} QueryCollect;

QueryMerge *query_merge_create(QueryCollect what);
void query_merge_destroy(QueryMerge *merge); /* NULL is fine */

/* Adds a worker's table. On its worker. Entries that counted nothing are left out. */
void query_table_collect(QueryTable *table, QueryMerge *merge);

/* After the last collect: sorts by total server time, largest first (then by calls and key, so that the order
 * is the same each time). start and end of the records are set by capture_write_interval only. */
void query_merge_sort(QueryMerge *merge);

size_t query_merge_count(const QueryMerge *merge);
const PwWorkloadRecord *query_merge_get(const QueryMerge *merge, size_t index); /* owned by the merge */
const QueryTableStats *query_merge_stats(const QueryMerge *merge); /* summed over the tables since start */

/* ---- writing an interval; not on a worker (it blocks on the disk) ---- */

typedef struct CaptureWriter CaptureWriter;

/* `path` is query_log. The file is opened by the first write or by capture_writer_reopen. */
CaptureWriter *capture_writer_create(const char *path, unsigned workers);
void capture_writer_destroy(CaptureWriter *writer); /* NULL is fine */

/* Opens the path anew after rotation (or for the first time). On error the old file stays in use. */
PW_MUSTCHECK PwErr capture_writer_reopen(CaptureWriter *writer);

/* Writes an interval merge (QUERY_COLLECT_INTERVAL, all workers) that began and ended at these wall clock times.
 * An interval without queries is written too (its first line shows that the pooler lived). On PW_ERR_IO (errno) the
 * interval is lost and counted. */
PW_MUSTCHECK PwErr capture_write_interval(CaptureWriter *writer, QueryMerge *merge, PwUsec start, PwUsec end);
uint64_t capture_writer_lost(const CaptureWriter *writer);
const char *capture_writer_path(const CaptureWriter *writer);

#endif
