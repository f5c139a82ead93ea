/* SPDX-License-Identifier: ISC */
/* The sum over workers. Records are found by key through an open-addressed index of positions + 1. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pooler/capture/capture_priv.h"
#include "poolwise/mem.h"

struct QueryMerge {
    QueryCollect what;
    PwWorkloadRecord **records;
    uint64_t *keys; /* hash of each record, for the index */
    size_t n, cap;
    uint32_t *index; /* [index_mask + 1]; 0: empty */
    size_t index_mask;
    QueryTableStats stats;
};

QueryMerge *query_merge_create(QueryCollect what)
{
    QueryMerge *merge = pw_xcalloc(1, sizeof(*merge));
    merge->what = what;
    return merge;
}

void query_merge_destroy(QueryMerge *merge)
{
    if (merge == NULL)
        return;
    for (size_t i = 0; i < merge->n; i++) {
        pw_workload_record_finish(merge->records[i]);
        free(merge->records[i]);
    }
    free(merge->records);
    free(merge->keys);
    free(merge->index);
    free(merge);
}

static void index_insert(QueryMerge *merge, size_t position)
{
    size_t i = merge->keys[position] & merge->index_mask;
    while (merge->index[i] != 0)
        i = (i + 1) & merge->index_mask;
    merge->index[i] = (uint32_t)position + 1;
}

static void grow(QueryMerge *merge)
{
    merge->cap = merge->cap > 0 ? merge->cap * 2 : 128;
    merge->records = pw_xrealloc(merge->records, merge->cap * sizeof(PwWorkloadRecord *));
    merge->keys = pw_xrealloc(merge->keys, merge->cap * sizeof(uint64_t));
    free(merge->index);
    merge->index_mask = merge->cap * 2 - 1;
    merge->index = pw_xcalloc(merge->cap * 2, sizeof(uint32_t));
    for (size_t i = 0; i < merge->n; i++)
        index_insert(merge, i);
}

static bool is_record_of(const PwWorkloadRecord *record, const QueryEntry *entry)
{
    if (record->fingerprint != entry->fingerprint)
        return false;
    return entry->ident == NULL || (strcmp(record->database, entry->ident->database) == 0 &&
                                    strcmp(record->user, entry->ident->user) == 0 &&
                                    strcmp(record->application_name, entry->ident->application_name) == 0);
}

static PwWorkloadRecord *record_of(QueryMerge *merge, const QueryEntry *entry)
{
    const QueryIdent *ident = entry->ident;
    uint64_t key = entry->fingerprint ^ (ident != NULL ? ident->hash : 0);
    if (merge->index != NULL) {
        for (size_t i = key & merge->index_mask; merge->index[i] != 0; i = (i + 1) & merge->index_mask) {
            PwWorkloadRecord *record = merge->records[merge->index[i] - 1];
            if (is_record_of(record, entry))
                return record;
        }
    }
    if (merge->n == merge->cap)
        grow(merge);
    PwWorkloadRecord *record = pw_xcalloc(1, sizeof(*record));
    record->fingerprint = entry->fingerprint;
    record->kind = entry->kind;
    record->truncated = entry->truncated;
    record->database = pw_xstrdup(ident != NULL ? ident->database : "");
    record->user = pw_xstrdup(ident != NULL ? ident->user : "");
    record->application_name = pw_xstrdup(ident != NULL ? ident->application_name : "");
    record->query = entry->query != NULL ? pw_xstrndup(entry->query, entry->query_len) : NULL;
    merge->keys[merge->n] = key;
    merge->records[merge->n] = record;
    index_insert(merge, merge->n);
    merge->n++;
    return record;
}

/* Samples change hands; what is above the bound of one record goes. */
static void move_samples(QueryTable *table, QueryEntry *entry, PwWorkloadRecord *record)
{
    if (entry->n_samples == 0)
        return;
    if (record->samples == NULL)
        record->samples = pw_xcalloc(table->samples, sizeof(*record->samples));
    for (unsigned i = 0; i < entry->n_samples && record->n_samples < table->samples; i++) {
        table->sample_bytes -= sample_size(&entry->samples[i]);
        record->samples[record->n_samples++] = entry->samples[i];
        entry->samples[i] = (PwSample){0};
        table->sample_bytes += sample_size(&entry->samples[i]); /* what entry_free_samples will take off */
    }
    entry_free_samples(table, entry);
}

static void collect_entry(QueryTable *table, QueryEntry *entry, QueryMerge *merge)
{
    if (merge->what == QUERY_COLLECT_TOTALS) {
        if (entry->total.calls + entry->interval.calls == 0)
            return;
        PwWorkloadRecord *record = record_of(merge, entry);
        pw_query_counts_merge(&record->counts, &entry->total);
        pw_query_counts_merge(&record->counts, &entry->interval);
        return;
    }
    if (entry->interval.calls == 0) {
        entry_free_samples(table, entry); /* of a call that goes on: its values belong to no line */
        return;
    }
    PwWorkloadRecord *record = record_of(merge, entry);
    pw_query_counts_merge(&record->counts, &entry->interval);
    move_samples(table, entry, record);
    pw_query_counts_merge(&entry->total, &entry->interval);
    memset(&entry->interval, 0, sizeof(entry->interval));
}

void query_table_collect(QueryTable *table, QueryMerge *merge)
{
    for (unsigned i = 0; i < table->n; i++)
        collect_entry(table, table->entries[i], merge);
    collect_entry(table, table->other, merge);
    QueryTableStats stats;
    query_table_stats(table, &stats);
    merge->stats.entries += stats.entries;
    merge->stats.max_queries += stats.max_queries;
    merge->stats.idents += stats.idents;
    merge->stats.bytes += stats.bytes;
    merge->stats.observed += stats.observed;
    merge->stats.cache_hits += stats.cache_hits;
    merge->stats.created += stats.created;
    merge->stats.evicted += stats.evicted;
    merge->stats.overflowed += stats.overflowed;
    merge->stats.samples_kept += stats.samples_kept;
}

static int descending(uint64_t a, uint64_t b)
{
    return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_records(const void *left, const void *right)
{
    const PwWorkloadRecord *a = *(PwWorkloadRecord *const *)left, *b = *(PwWorkloadRecord *const *)right;
    int order = descending(a->counts.server.sum, b->counts.server.sum);
    if (order == 0)
        order = descending(a->counts.calls, b->counts.calls);
    if (order == 0)
        order = descending(b->fingerprint, a->fingerprint);
    if (order == 0)
        order = strcmp(a->database, b->database);
    if (order == 0)
        order = strcmp(a->user, b->user);
    return order != 0 ? order : strcmp(a->application_name, b->application_name);
}

void query_merge_sort(QueryMerge *merge)
{
    if (merge->n > 0)
        qsort(merge->records, merge->n, sizeof(PwWorkloadRecord *), compare_records);
    free(merge->index); /* positions are wrong now: nothing can be collected any more */
    merge->index = NULL;
    merge->cap = merge->n;
}

size_t query_merge_count(const QueryMerge *merge)
{
    return merge->n;
}

const PwWorkloadRecord *query_merge_get(const QueryMerge *merge, size_t i)
{
    return merge->records[i];
}

const QueryTableStats *query_merge_stats(const QueryMerge *merge)
{
    return &merge->stats;
}
