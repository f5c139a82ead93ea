/* SPDX-License-Identifier: ISC */
/* capture_priv.h - the bodies behind capture.h. Everything here belongs to the table's worker. */
#ifndef POOLER_CAPTURE_CAPTURE_PRIV_H
#define POOLER_CAPTURE_CAPTURE_PRIV_H

#include "pooler/capture/capture.h"

/* Samples of one table hold at most this many bytes; then none are taken until the interval ends. */
#define SAMPLE_BUDGET (4 * 1024 * 1024)

struct QueryIdent {
    QueryIdent *next; /* in its bucket */
    uint64_t hash;
    unsigned refs; /* clients and entries */
    const char *user, *application_name; /* into database[] */
    size_t len;                          /* of the three texts with their NULs */
    char database[];
};

/* Recycled in place, never freed before the table, so that cache slots may point at it for ever: a slot is valid
 * while its generation is the entry's. */
struct QueryEntry {
    uint64_t fingerprint; /* 0: "other" */
    QueryIdent *ident;    /* NULL: "other", or no longer in use */
    QueryEntry *next;     /* in its bucket */
    uint32_t generation;
    unsigned refs; /* queries under way */
    bool used;     /* since the clock's hand passed */
    bool truncated;
    uint8_t note; /* query_entry_note */
    PwSqlKind kind;
    size_t query_len;
    char *query;
    PwQueryCounts interval; /* since the last log */
    PwQueryCounts total;    /* before that */
    PwSample *samples;      /* [table->samples] or NULL */
    unsigned n_samples;
};

typedef struct CacheSlot {
    uint64_t key;
    QueryEntry *entry; /* NULL: empty */
    uint32_t generation;
    uint32_t len; /* of the text */
} CacheSlot;

struct QueryTable {
    CacheSlot *cache;
    size_t cache_mask;
    QueryEntry **buckets; /* by fingerprint and ident; at least twice as many as entries */
    size_t bucket_mask;
    QueryEntry **entries; /* [max] */
    unsigned n, max;
    unsigned hand;
    QueryEntry *other;
    QueryIdent **idents; /* buckets */
    size_t ident_mask;
    unsigned samples;     /* query_log_samples */
    size_t sample_bytes;
    QueryTableStats stats;
};

#define IDENT_BUCKETS 256

/* ident.c */
void ident_unref(QueryTable *table, QueryIdent *ident);

/* sample.c */
void entry_free_samples(QueryTable *table, QueryEntry *entry);
size_t sample_size(const PwSample *sample);

#endif
