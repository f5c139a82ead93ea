/* SPDX-License-Identifier: ISC */
/* The table of one worker. Two ways to an entry: the cache, direct-mapped by the hash of the raw text and the ident,
 * which spares the lexer; and the buckets, by fingerprint and ident. Buckets are a fixed array and not
 * uthash: the number of entries is bounded and known, so nothing ever has to be rehashed on the hot path. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pooler/capture/capture_priv.h"
#include "poolwise/mem.h"

static size_t power_of_two(size_t least)
{
    size_t n = 64;
    while (n < least)
        n *= 2;
    return n;
}

QueryTable *query_table_create(unsigned max_queries, unsigned samples)
{
    QueryTable *table = pw_xcalloc(1, sizeof(*table));
    table->max = max_queries > 0 ? max_queries : 1;
    size_t slots = power_of_two((size_t)table->max * 2);
    table->cache_mask = table->bucket_mask = slots - 1;
    table->cache = pw_xcalloc(slots, sizeof(*table->cache));
    table->buckets = pw_xcalloc(slots, sizeof(QueryEntry *));
    table->entries = pw_xcalloc(table->max, sizeof(QueryEntry *));
    table->ident_mask = IDENT_BUCKETS - 1;
    table->idents = pw_xcalloc(IDENT_BUCKETS, sizeof(QueryIdent *));
    table->other = pw_xcalloc(1, sizeof(*table->other));
    table->stats.max_queries = table->max;
    table->stats.bytes = sizeof(*table) + slots * (sizeof(CacheSlot) + sizeof(QueryEntry *)) +
                         table->max * sizeof(QueryEntry *) + IDENT_BUCKETS * sizeof(QueryIdent *) + sizeof(QueryEntry);
    query_table_set_samples(table, samples);
    return table;
}

void query_table_destroy(QueryTable *table)
{
    if (table == NULL)
        return;
    for (unsigned i = 0; i < table->n; i++) {
        QueryEntry *entry = table->entries[i];
        entry_free_samples(table, entry);
        ident_unref(table, entry->ident);
        free(entry->query);
        free(entry);
    }
    free(table->other);
    free(table->idents);
    free(table->entries);
    free(table->buckets);
    free(table->cache);
    free(table);
}

void query_table_set_samples(QueryTable *table, unsigned samples)
{
    samples = samples < PW_SAMPLES_MAX ? samples : PW_SAMPLES_MAX;
    if (samples == table->samples)
        return;
    for (unsigned i = 0; i < table->n; i++) /* the arrays have the old length */
        entry_free_samples(table, table->entries[i]);
    table->samples = samples;
}

/* ---- entries ---- */

static QueryEntry **bucket_of(QueryTable *table, uint64_t fingerprint, const QueryIdent *ident)
{
    return &table->buckets[(fingerprint ^ ident->hash) & table->bucket_mask];
}

/* Its numbers go on under "other". */
static void entry_clear(QueryTable *table, QueryEntry *entry)
{
    QueryEntry **at = bucket_of(table, entry->fingerprint, entry->ident);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    pw_query_counts_merge(&table->other->interval, &entry->interval);
    pw_query_counts_merge(&table->other->total, &entry->total);
    entry_free_samples(table, entry);
    ident_unref(table, entry->ident);
    table->stats.bytes -= entry->query_len + 1;
    free(entry->query);
    *entry = (QueryEntry){.generation = entry->generation + 1};
}

/* The clock: an entry that was used since the hand last passed gets a second chance. NULL: all are in use. */
static QueryEntry *evict(QueryTable *table)
{
    for (unsigned steps = 0; steps < 2 * table->n; steps++) {
        QueryEntry *entry = table->entries[table->hand];
        table->hand = table->hand + 1 < table->n ? table->hand + 1 : 0;
        if (entry->refs > 0)
            continue;
        if (entry->used) {
            entry->used = false;
            continue;
        }
        entry_clear(table, entry);
        table->stats.evicted++;
        return entry;
    }
    return NULL;
}

static QueryEntry *create_entry(QueryTable *table, QueryIdent *ident, const char *sql, size_t len, unsigned lex_flags)
{
    QueryEntry *entry;
    if (table->n < table->max) {
        entry = pw_xcalloc(1, sizeof(*entry));
        table->entries[table->n++] = entry;
        table->stats.bytes += sizeof(*entry);
    } else {
        entry = evict(table);
        if (entry == NULL)
            return NULL;
    }
    char text[PW_QUERY_TEXT_MAX + 1];
    PwNormalised normal = pw_normalise(sql, len, lex_flags, text, sizeof(text));
    entry->fingerprint = normal.fingerprint;
    entry->kind = normal.kind;
    entry->truncated = normal.truncated;
    entry->query_len = normal.len;
    entry->query = pw_xstrndup(text, normal.len);
    entry->ident = ident;
    ident->refs++;
    QueryEntry **bucket = bucket_of(table, entry->fingerprint, ident);
    entry->next = *bucket;
    *bucket = entry;
    table->stats.bytes += normal.len + 1;
    table->stats.created++;
    return entry;
}

/* The cache missed: lex, find, create. Not inlined: the way through the cache stays short. */
static __attribute__((noinline)) QueryEntry *find_entry(QueryTable *table, QueryIdent *ident, const char *sql, size_t len,
                                                        unsigned lex_flags)
{
    uint64_t fingerprint = pw_fingerprint(sql, len, lex_flags);
    QueryEntry *entry = *bucket_of(table, fingerprint, ident);
    while (entry != NULL && (entry->fingerprint != fingerprint || entry->ident != ident))
        entry = entry->next;
    return entry != NULL ? entry : create_entry(table, ident, sql, len, lex_flags);
}

/* ---- the hot path ---- */

uint64_t query_text_hash(const char *sql, size_t len)
{
    return XXH3_64bits(sql, len);
}

QueryEntry *query_table_observe_hashed(QueryTable *table, QueryIdent *ident, uint64_t text_hash, const char *sql,
                                       size_t len, unsigned lex_flags)
{
    table->stats.observed++;
    uint64_t key = text_hash ^ ident->hash ^ lex_flags;
    CacheSlot *slot = &table->cache[key & table->cache_mask];
    QueryEntry *entry = slot->entry;
    if (PW_LIKELY(entry != NULL && slot->key == key && slot->len == (uint32_t)len &&
                  slot->generation == entry->generation && entry->ident == ident)) {
        table->stats.cache_hits++;
    } else {
        entry = find_entry(table, ident, sql, len, lex_flags);
        if (PW_UNLIKELY(entry == NULL)) {
            table->stats.overflowed++;
            entry = table->other;
        } else {
            *slot = (CacheSlot){.key = key, .entry = entry, .generation = entry->generation, .len = (uint32_t)len};
        }
    }
    entry->used = true;
    entry->refs++;
    return entry;
}

QueryEntry *query_table_observe(QueryTable *table, QueryIdent *ident, const char *sql, size_t len, unsigned lex_flags)
{
    return query_table_observe_hashed(table, ident, XXH3_64bits(sql, len), sql, len, lex_flags);
}

void query_entry_done(QueryEntry *entry, PwUsec server_usec, PwUsec wait_usec, uint64_t rows, uint64_t bytes_in,
                      uint64_t bytes_out, const char *sqlstate)
{
    pw_query_counts_add(&entry->interval, server_usec, wait_usec, rows, bytes_in, bytes_out, sqlstate);
    entry->refs--;
}

void query_entry_drop(QueryEntry *entry)
{
    entry->refs--;
}

QueryEntry *query_entry_ref(QueryEntry *entry)
{
    entry->refs++;
    return entry;
}

uint64_t query_entry_fingerprint(const QueryEntry *entry)
{
    return entry->fingerprint;
}

uint8_t *query_entry_note(QueryEntry *entry)
{
    return entry->fingerprint && !entry->truncated ? &entry->note : NULL;
}

void query_table_stats(const QueryTable *table, QueryTableStats *ret_stats)
{
    *ret_stats = table->stats;
    ret_stats->entries = table->n;
    ret_stats->bytes += table->sample_bytes;
}
