/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pooler/capture/capture_priv.h"
#include "poolwise/mem.h"

/* Bytes of a name that are kept: at most QUERY_NAME_MAX, and no UTF-8 sequence cut in two. */
static size_t name_length(const char *name)
{
    size_t n = strnlen(name, QUERY_NAME_MAX + 1);
    if (n <= QUERY_NAME_MAX)
        return n;
    for (n = QUERY_NAME_MAX; n > 0 && ((uint8_t)name[n] & 0xc0) == 0x80; n--)
        ;
    return n > 0 ? n : QUERY_NAME_MAX;
}

static size_t append_name(char *to, const char *name)
{
    size_t n = name_length(name);
    memcpy(to, name, n);
    to[n] = '\0';
    return n + 1;
}

QueryIdent *query_ident_acquire(QueryTable *table, const char *database, const char *user, const char *application_name)
{
    char text[3 * (QUERY_NAME_MAX + 1)];
    size_t user_at = append_name(text, database != NULL ? database : "");
    size_t app_at = user_at + append_name(text + user_at, user != NULL ? user : "");
    size_t len = app_at + append_name(text + app_at, application_name != NULL ? application_name : "");
    uint64_t hash = XXH3_64bits(text, len);
    QueryIdent **bucket = &table->idents[hash & table->ident_mask];
    for (QueryIdent *ident = *bucket; ident != NULL; ident = ident->next) {
        if (ident->hash == hash && ident->len == len && memcmp(ident->database, text, len) == 0) {
            ident->refs++;
            return ident;
        }
    }
    QueryIdent *ident = pw_xmalloc(sizeof(*ident) + len);
    *ident = (QueryIdent){.next = *bucket, .hash = hash, .refs = 1, .len = len};
    memcpy(ident->database, text, len);
    ident->user = ident->database + user_at;
    ident->application_name = ident->database + app_at;
    *bucket = ident;
    table->stats.idents++;
    table->stats.bytes += sizeof(*ident) + len;
    return ident;
}

void ident_unref(QueryTable *table, QueryIdent *ident)
{
    if (--ident->refs > 0)
        return;
    QueryIdent **at = &table->idents[ident->hash & table->ident_mask];
    while (*at != ident)
        at = &(*at)->next;
    *at = ident->next;
    table->stats.idents--;
    table->stats.bytes -= sizeof(*ident) + ident->len;
    free(ident);
}

void query_ident_release(QueryTable *table, QueryIdent *ident)
{
    if (ident != NULL)
        ident_unref(table, ident);
}
