/* SPDX-License-Identifier: ISC */
#include "pooler/session/prepared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pooler/session/shape.h"
#include "pooler/session/stmt_class.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static struct {
    pthread_mutex_t lock;
    Statement *table; /* by body */
    uint64_t last_id, bytes;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Text, NUL, 16 bits number of types, 32 bits each; nothing behind. */
static bool body_is_sound(const uint8_t *body, size_t n, uint32_t *ret_text_len)
{
    PwCursor c = pw_cursor(body, n);
    const char *text = pw_cursor_cstr(&c);
    uint16_t types = pw_cursor_be16(&c);
    pw_cursor_bytes(&c, (size_t)types * 4);
    if (c.bad || pw_cursor_left(&c) != 0 || n > UINT32_MAX)
        return false;
    *ret_text_len = (uint32_t)strlen(text);
    return true;
}

Statement *statement_intern(const uint8_t *body, size_t n, uint64_t digest, unsigned lex_flags)
{
    uint32_t text_len;
    if (!body_is_sound(body, n, &text_len))
        return NULL;
    size_t key_len = n + sizeof(digest);
    Statement *made = pw_xmalloc(sizeof(*made) + key_len), *st;
    memset(made, 0, sizeof(*made));
    memcpy(made->body, body, n);
    memcpy(made->body + n, &digest, sizeof(digest));
    pthread_mutex_lock(&store.lock);
    HASH_FIND(hh, store.table, made->body, key_len, st);
    if (st) {
        st->refs++;
        pthread_mutex_unlock(&store.lock);
        free(made);
        return st;
    }
    st = made;
    st->id = ++store.last_id;
    st->refs = 1;
    st->text_len = text_len;
    st->body_len = (uint32_t)n;
    st->digest = digest;
    st->class = (uint8_t)stmt_classify((const char *)body, text_len, lex_flags, true);
    st->text_hash = XXH3_64bits(body, text_len);
    HASH_ADD_KEYPTR(hh, store.table, st->body, key_len, st);
    store.bytes += sizeof(*st) + key_len;
    pthread_mutex_unlock(&store.lock);
    return st;
}

Statement *statement_with_types(const Statement *st, const uint8_t *types, unsigned n_types, unsigned lex_flags)
{
    size_t text = st->text_len + 1u, n = text + 2 + (size_t)n_types * 4;
    uint8_t *body = pw_xmalloc(n);
    memcpy(body, st->body, text);
    body[text] = (uint8_t)(n_types >> 8);
    body[text + 1] = (uint8_t)n_types;
    memcpy(body + text + 2, types, (size_t)n_types * 4);
    Statement *typed = statement_intern(body, n, st->digest, lex_flags);
    free(body);
    return typed;
}

uint64_t statement_tick(void)
{
    static _Atomic(uint64_t) last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

Statement *statement_ref(Statement *st)
{
    pthread_mutex_lock(&store.lock);
    st->refs++;
    pthread_mutex_unlock(&store.lock);
    return st;
}

void statement_unref(Statement *st)
{
    if (!st)
        return;
    pthread_mutex_lock(&store.lock);
    bool last = --st->refs == 0;
    if (last) {
        HASH_DEL(store.table, st);
        store.bytes -= sizeof(*st) + st->body_len + sizeof(st->digest);
    }
    pthread_mutex_unlock(&store.lock);
    if (last)
        free(st);
}

bool statement_is_parsed(Statement *st, uint64_t pool)
{
    for (unsigned i = 0; i < STATEMENT_POOLS; i++)
        if (atomic_load_explicit(&st->parsed_in[i], memory_order_relaxed) == pool)
            return true;
    return false;
}

void statement_parsed(Statement *st, uint64_t pool)
{
    if (statement_is_parsed(st, pool))
        return;
    for (unsigned i = 0; i < STATEMENT_POOLS; i++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong_explicit(&st->parsed_in[i], &none, pool, memory_order_relaxed, memory_order_relaxed))
            return;
    }
    atomic_store_explicit(&st->parsed_in[pool % STATEMENT_POOLS], pool, memory_order_relaxed);
}

const char *statement_name(const Statement *st, char buf[STATEMENT_NAME_SIZE])
{
    snprintf(buf, STATEMENT_NAME_SIZE, "POOLWISE_%llu", (unsigned long long)st->id);
    return buf;
}

void statement_store_stats(uint64_t *ret_count, uint64_t *ret_bytes)
{
    pthread_mutex_lock(&store.lock);
    *ret_count = HASH_COUNT(store.table);
    *ret_bytes = store.bytes;
    pthread_mutex_unlock(&store.lock);
}

/* ---- one client ---- */

ClientStatement *client_statements_find(ClientStatements *cs, const char *name)
{
    ClientStatement *c;
    HASH_FIND_STR(cs->table, name, c);
    return c;
}

ClientStatement *client_statements_add(ClientStatements *cs, const char *name, Statement *st)
{
    size_t n = strlen(name);
    ClientStatement *c = pw_xcalloc(1, sizeof(*c) + n + 1);
    memcpy(c->name, name, n + 1);
    c->statement = st;
    c->refs = 1;
    c->listed = true;
    HASH_ADD_KEYPTR(hh, cs->table, c->name, n, c);
    return c;
}

void client_statements_remove(ClientStatements *cs, ClientStatement *c)
{
    if (!c->listed)
        return;
    HASH_DEL(cs->table, c);
    c->listed = false;
    client_statement_unref(c);
}

void client_statements_restore(ClientStatements *cs, ClientStatement *c)
{
    ClientStatement *other = client_statements_find(cs, c->name);
    if (c->listed)
        return;
    if (other)
        client_statements_remove(cs, other);
    HASH_ADD_KEYPTR(hh, cs->table, c->name, strlen(c->name), c);
    c->listed = true;
    c->refs++;
}

void client_statement_tell_types(ClientStatement *c, const uint8_t *payload, size_t n)
{
    uint64_t shape;
    unsigned count = shape_of_types(payload, n, &shape);
    if (!shape || shape == c->types_shape)
        return;
    free(c->types);
    c->types = pw_xmalloc((size_t)count * 4 + 1);
    memcpy(c->types, payload + 2, (size_t)count * 4);
    c->n_types = (uint16_t)count;
    c->types_shape = shape;
}

void client_statements_finish(ClientStatements *cs)
{
    ClientStatement *c, *next;
    HASH_ITER(hh, cs->table, c, next)
        client_statements_remove(cs, c);
}

ClientStatement *client_statement_ref(ClientStatement *c)
{
    c->refs++;
    return c;
}

void client_statement_unref(ClientStatement *c)
{
    if (!c || --c->refs > 0)
        return;
    statement_unref(c->statement);
    free(c->types);
    free(c);
}

size_t client_statements_bytes(const ClientStatements *cs)
{
    if (!cs->table)
        return 0;
    const UT_hash_table *table = cs->table->hh.tbl;
    return sizeof(*table) + table->num_buckets * sizeof(*table->buckets) + table->num_items * sizeof(ClientStatement);
}

unsigned client_statements_count(const ClientStatements *cs)
{
    return HASH_COUNT(cs->table);
}

/* ---- one server ---- */

void server_statements_init(ServerStatements *ss)
{
    ss->table = NULL;
    TAILQ_INIT(&ss->used);
}

static ServerStatement *find(ServerStatements *ss, const Statement *st)
{
    ServerStatement *s;
    HASH_FIND(hh, ss->table, &st->id, sizeof(st->id), s);
    return s;
}

static Statement *take_off(ServerStatements *ss, ServerStatement *s)
{
    Statement *st = s->statement;
    HASH_DEL(ss->table, s);
    TAILQ_REMOVE(&ss->used, s, lru);
    free(s);
    return st;
}

void server_statements_finish(ServerStatements *ss)
{
    ServerStatement *s;
    while ((s = TAILQ_FIRST(&ss->used)))
        statement_unref(take_off(ss, s));
}

ServerStatement *server_statements_use(ServerStatements *ss, const Statement *st)
{
    ServerStatement *s = find(ss, st);
    if (!s || s->epoch != atomic_load_explicit(&st->epoch, memory_order_relaxed))
        return NULL;
    if (TAILQ_NEXT(s, lru)) {
        TAILQ_REMOVE(&ss->used, s, lru);
        TAILQ_INSERT_TAIL(&ss->used, s, lru);
    }
    return s;
}

ServerStatement *server_statements_add(ServerStatements *ss, Statement *st)
{
    ServerStatement *there = find(ss, st);
    if (there)
        return there;
    ServerStatement *s = pw_xcalloc(1, sizeof(*s));
    s->id = st->id;
    s->since = statement_tick();
    s->epoch = atomic_load_explicit(&st->epoch, memory_order_relaxed);
    s->statement = statement_ref(st);
    HASH_ADD(hh, ss->table, id, sizeof(s->id), s);
    TAILQ_INSERT_TAIL(&ss->used, s, lru);
    return s;
}

void server_statement_outdate(const ServerStatement *plan)
{
    unsigned epoch = plan->epoch; /* several servers may say so of one change: the first one counts */
    atomic_compare_exchange_strong_explicit(&plan->statement->epoch, &epoch, epoch + 1, memory_order_relaxed, memory_order_relaxed);
}

void server_statements_remove(ServerStatements *ss, const Statement *st)
{
    ServerStatement *s = find(ss, st);
    if (s)
        statement_unref(take_off(ss, s));
}

void server_statements_distrust(ServerStatements *ss, const Statement *st)
{
    ServerStatement *s = find(ss, st);
    if (s)
        s->epoch = atomic_load_explicit(&st->epoch, memory_order_relaxed) - 1;
}

bool server_statements_forget(ServerStatements *ss, const Statement *st)
{
    ServerStatement *s = find(ss, st);
    if (!s)
        return false;
    statement_unref(take_off(ss, s));
    return true;
}

ServerStatement *server_statements_plan(ServerStatements *ss, uint64_t id, uint64_t since)
{
    ServerStatement *s;
    HASH_FIND(hh, ss->table, &id, sizeof(id), s);
    return s && s->since == since ? s : NULL;
}

Statement *server_statements_evict(ServerStatements *ss, unsigned most)
{
    if (HASH_COUNT(ss->table) <= most)
        return NULL;
    return take_off(ss, TAILQ_FIRST(&ss->used));
}

unsigned server_statements_count(const ServerStatements *ss)
{
    return HASH_COUNT(ss->table);
}
