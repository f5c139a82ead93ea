/* SPDX-License-Identifier: ISC */
#include "pooler/pool/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"
#include "poolwise/wire.h"

static struct {
    pthread_mutex_t lock;
    unsigned n_workers;
    const PoolOps *ops;
    PoolDirectory *directory;
    bool all_paused;
    DbState *dbs;
    UserState *users;
    PoolEntry *pools;
    PoolStats forgotten;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

void pool_stats_add(PoolStats *to, const PoolStats *from)
{
    uint64_t *t = (uint64_t *)to;
    const uint64_t *f = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++)
        t[i] += f[i];
}

void registry_init(unsigned n_workers, const PoolOps *ops)
{
    registry.n_workers = n_workers;
    registry.ops = ops;
    registry.directory = pool_directory_create();
}

static void limit_init(LimitCounter *c)
{
    pw_atomic_init(&c->used, 0);
    pw_atomic_init(&c->max, 0);
}

static void entry_free(PoolEntry *e)
{
    pool_destroy(e->pool);
    if (e->welcome)
        welcome_unref(e, e->welcome);
    pw_secret_free(e->scram_keys, sizeof(*e->scram_keys));
    pthread_mutex_destroy(&e->lock);
    free(e->locals);
    free(e->key);
    free(e);
}

DbState *registry_find_db(const char *name)
{
    DbState *d;
    pthread_mutex_lock(&registry.lock);
    HASH_FIND_STR(registry.dbs, name, d);
    pthread_mutex_unlock(&registry.lock);
    return d;
}

UserState *registry_find_user(const char *name)
{
    UserState *u;
    pthread_mutex_lock(&registry.lock);
    HASH_FIND_STR(registry.users, name, u);
    pthread_mutex_unlock(&registry.lock);
    return u;
}

DbState *registry_db(const char *name)
{
    DbState *d;
    pthread_mutex_lock(&registry.lock);
    HASH_FIND_STR(registry.dbs, name, d);
    if (!d) {
        d = pw_xcalloc(1, sizeof(*d));
        d->name = pw_xstrdup(name);
        limit_init(&d->servers);
        limit_init(&d->clients);
        pw_atomic_init(&d->paused, registry.all_paused ? DB_PAUSED_ALL : 0);
        HASH_ADD_KEYPTR(hh, registry.dbs, d->name, strlen(d->name), d);
    }
    pthread_mutex_unlock(&registry.lock);
    return d;
}

UserState *registry_user(const char *name)
{
    UserState *u;
    pthread_mutex_lock(&registry.lock);
    HASH_FIND_STR(registry.users, name, u);
    if (!u) {
        u = pw_xcalloc(1, sizeof(*u));
        u->name = pw_xstrdup(name);
        limit_init(&u->servers);
        limit_init(&u->clients);
        HASH_ADD_KEYPTR(hh, registry.users, u->name, strlen(u->name), u);
    }
    pthread_mutex_unlock(&registry.lock);
    return u;
}

/* Under the lock: the only writers. */
static void set_paused(DbState *db, int bit, bool on)
{
    int bits = pw_atomic_load(&db->paused);
    pw_atomic_store(&db->paused, on ? bits | bit : bits & ~bit);
}

void registry_pause_db(DbState *db, bool on)
{
    pthread_mutex_lock(&registry.lock);
    set_paused(db, DB_PAUSED_SELF, on);
    pthread_mutex_unlock(&registry.lock);
}

void registry_pause_all(bool on)
{
    pthread_mutex_lock(&registry.lock);
    registry.all_paused = on;
    for (DbState *d = registry.dbs; d; d = d->hh.next)
        set_paused(d, DB_PAUSED_ALL, on);
    pthread_mutex_unlock(&registry.lock);
}

bool registry_user_set_secret(UserState *user, const char *text, size_t len)
{
    bool replaced = false;
    pthread_mutex_lock(&registry.lock);
    if (!user->secret || user->secret_len != len || (len && memcmp(user->secret, text, len) != 0)) {
        replaced = user->secret != NULL;
        if (replaced)
            pw_wipe(user->secret, user->secret_len);
        free(user->secret);
        user->secret = pw_xstrndup(text ? text : "", len);
        user->secret_len = len;
    }
    pthread_mutex_unlock(&registry.lock);
    return replaced;
}

bool registry_user_secret(UserState *user, Secret *ret_secret)
{
    pthread_mutex_lock(&registry.lock);
    bool ok = user->secret && secret_init(ret_secret, user->secret, user->secret_len) == PW_OK;
    pthread_mutex_unlock(&registry.lock);
    return ok;
}

bool registry_user_set_password(UserState *user, const char *text)
{
    bool replaced = false;
    pthread_mutex_lock(&registry.lock);
    if (!user->password || !text || strcmp(user->password, text) != 0) {
        replaced = user->password != NULL;
        if (replaced)
            pw_wipe(user->password, strlen(user->password));
        free(user->password);
        user->password = text ? pw_xstrdup(text) : NULL;
    }
    pthread_mutex_unlock(&registry.lock);
    return replaced;
}

bool registry_user_password(UserState *user, Secret *ret_secret)
{
    pthread_mutex_lock(&registry.lock);
    bool ok = user->password && secret_init(ret_secret, user->password, strlen(user->password)) == PW_OK;
    pthread_mutex_unlock(&registry.lock);
    return ok;
}

uint64_t registry_new_epoch(void)
{
    static PW_ATOMIC(uint64_t) last;
    return pw_atomic_add(&last, 1) + 1;
}

void registry_raise_epoch(DbState *db, uint64_t epoch)
{
    uint64_t now = pw_atomic_load(&db->reconnect_epoch);
    while (now < epoch && !pw_atomic_cas(&db->reconnect_epoch, &now, epoch))
        ;
}

static PoolEntry *entry_new(const char *key, DbState *db, UserState *user)
{
    static PW_ATOMIC(uint64_t) last_id;
    PoolEntry *e = pw_xcalloc(1, sizeof(*e));
    e->id = pw_atomic_add(&last_id, 1) + 1;
    e->key = pw_xstrdup(key);
    e->db = db;
    e->user = user;
    e->pool = pool_create(registry.ops, registry.n_workers, &db->servers, &user->servers);
    e->locals = pw_xcalloc(registry.n_workers, sizeof(*e->locals));
    pthread_mutex_init(&e->lock, NULL);
    e->listen_worker = HASH_COUNT(registry.pools) % registry.n_workers; /* spread; any would do */
    for (unsigned i = 0; i < registry.n_workers; i++) {
        e->locals[i].entry = e;
        TAILQ_INIT(&e->locals[i].cancels_waiting);
        TAILQ_INIT(&e->locals[i].cancels_active);
        e->locals[i].shard = &e->pool->shards[i];
        e->pool->shards[i].owner = &e->locals[i];
    }
    pool_directory_add(registry.directory, e->pool);
    return e;
}

PoolEntry *registry_pool(DbState *db, UserState *user)
{
    char small[256]; /* once for each login: no allocation for names of usual length */
    size_t n = strlen(db->name), size = n + 1 + strlen(user->name) + 1;
    char *key = size <= sizeof(small) ? small : pw_xmalloc(size);
    memcpy(key, db->name, n);
    key[n] = '\x1f';
    memcpy(key + n + 1, user->name, size - n - 1);
    PoolEntry *e;
    pthread_mutex_lock(&registry.lock);
    HASH_FIND_STR(registry.pools, key, e);
    if (!e) {
        e = entry_new(key, db, user);
        HASH_ADD_KEYPTR(hh, registry.pools, e->key, strlen(e->key), e);
        db->n_pools++;
    }
    pw_atomic_add(&e->clients, 1);
    pthread_mutex_unlock(&registry.lock);
    if (key != small)
        free(key);
    return e;
}

bool registry_take_off(PoolEntry *entry)
{
    pthread_mutex_lock(&registry.lock);
    bool free_of_clients = pw_atomic_load(&entry->clients) == 0;
    if (free_of_clients) {
        HASH_DEL(registry.pools, entry);
        pool_directory_remove(registry.directory, entry->pool);
    }
    pthread_mutex_unlock(&registry.lock);
    return free_of_clients;
}

void registry_keep_stats(PoolLocal *local)
{
    pthread_mutex_lock(&registry.lock);
    pool_stats_add(&local->entry->db->past, &local->stats);
    pthread_mutex_unlock(&registry.lock);
    memset(&local->stats, 0, sizeof(local->stats));
}

/* What servers that ended late still counted goes along. */
void registry_free_entry(PoolEntry *entry)
{
    pthread_mutex_lock(&registry.lock);
    for (unsigned i = 0; i < registry.n_workers; i++)
        pool_stats_add(&entry->db->past, &entry->locals[i].stats);
    entry->db->n_pools--;
    pthread_mutex_unlock(&registry.lock);
    entry_free(entry);
}

void registry_forget_auto_stats(PwUsec now, PwUsec idle)
{
    pthread_mutex_lock(&registry.lock);
    for (DbState *d = registry.dbs; d; d = d->hh.next) {
        if (d->n_pools > 0 || !pw_atomic_load_relaxed(&d->is_auto) || pw_atomic_load(&d->clients.used) > 0 ||
            now - pw_atomic_load(&d->last_used) < idle)
            continue;
        pool_stats_add(&registry.forgotten, &d->past);
        memset(&d->past, 0, sizeof(d->past));
    }
    pthread_mutex_unlock(&registry.lock);
}

void registry_forgotten_stats(PoolStats *ret)
{
    pthread_mutex_lock(&registry.lock);
    *ret = registry.forgotten;
    pthread_mutex_unlock(&registry.lock);
}

void registry_ref(PoolEntry *entry)
{
    pw_atomic_add(&entry->clients, 1);
}

void registry_unref(PoolEntry *entry)
{
    pw_atomic_store(&entry->empty_since, pw_time_mono());
    pw_atomic_sub(&entry->clients, 1);
}

void registry_each_db(void (*visit)(void *arg, DbState *db), void *arg)
{
    pthread_mutex_lock(&registry.lock);
    for (DbState *d = registry.dbs; d; d = d->hh.next)
        visit(arg, d);
    pthread_mutex_unlock(&registry.lock);
}

void registry_each_user(void (*visit)(void *arg, UserState *user), void *arg)
{
    pthread_mutex_lock(&registry.lock);
    for (UserState *u = registry.users; u; u = u->hh.next)
        visit(arg, u);
    pthread_mutex_unlock(&registry.lock);
}

void registry_each_pool(void (*visit)(void *arg, PoolEntry *entry), void *arg)
{
    pthread_mutex_lock(&registry.lock);
    for (PoolEntry *e = registry.pools; e; e = e->hh.next)
        visit(arg, e);
    pthread_mutex_unlock(&registry.lock);
}

unsigned registry_n_pools(void)
{
    pthread_mutex_lock(&registry.lock);
    unsigned n = HASH_COUNT(registry.pools);
    pthread_mutex_unlock(&registry.lock);
    return n;
}

/* ---- what servers taught ---- */

void pool_entry_set_keys(PoolEntry *entry, const ScramKeys *keys)
{
    ScramKeys *fresh = keys ? pw_secret_alloc(sizeof(*keys)) : NULL;
    if (fresh)
        *fresh = *keys;
    pthread_mutex_lock(&entry->lock);
    ScramKeys *old = entry->scram_keys;
    entry->scram_keys = fresh;
    pthread_mutex_unlock(&entry->lock);
    pw_secret_free(old, sizeof(*old));
}

bool pool_entry_copy_keys(PoolEntry *entry, ScramKeys *ret_keys)
{
    pthread_mutex_lock(&entry->lock);
    bool had = entry->scram_keys != NULL;
    if (had)
        *ret_keys = *entry->scram_keys;
    pthread_mutex_unlock(&entry->lock);
    return had;
}

bool pool_entry_keys(PoolEntry *entry, const ScramVerifier *verifier, ScramKeys *ret_keys)
{
    ScramKeys *stale = NULL;
    pthread_mutex_lock(&entry->lock);
    bool ok = entry->scram_keys && scram_verifier_equal(&entry->scram_keys->verifier, verifier);
    if (ok) {
        *ret_keys = *entry->scram_keys;
    } else {
        stale = entry->scram_keys;
        entry->scram_keys = NULL;
    }
    pthread_mutex_unlock(&entry->lock);
    pw_secret_free(stale, sizeof(*stale));
    return ok;
}

Welcome *pool_entry_welcome(PoolEntry *entry)
{
    pthread_mutex_lock(&entry->lock);
    Welcome *w = entry->welcome;
    if (w)
        w->refs++;
    pthread_mutex_unlock(&entry->lock);
    return w;
}

static void welcome_drop(Welcome *w)
{
    if (--w->refs > 0)
        return;
    pw_buf_finish(&w->params);
    params_finish(&w->tracked);
    free(w);
}

/* One ParameterStatus message; *ret_value points into it. Returns its length. */
static size_t read_param(const uint8_t *p, const char **ret_name, const char **ret_value)
{
    *ret_name = (const char *)p + PW_WIRE_HEADER;
    *ret_value = *ret_name + strlen(*ret_name) + 1;
    return (size_t)pw_be32(p + 1) + 1;
}

static bool is_restrictive(const PwBuf *params)
{
    const uint8_t *p = pw_buf_head(params), *end = p + pw_buf_unread(params);
    while (p < end) {
        const char *name, *value;
        p += read_param(p, &name, &value);
        if (strcmp(value, "on") == 0 && (strcmp(name, "in_hot_standby") == 0 || strcmp(name, "default_transaction_read_only") == 0))
            return true;
    }
    return false;
}

void pool_entry_set_welcome(PoolEntry *entry, Welcome *w)
{
    w->is_restrictive = is_restrictive(&w->params);
    pthread_mutex_lock(&entry->lock);
    Welcome *old = entry->welcome;
    w->refs = 1;
    entry->welcome = w;
    if (old)
        welcome_drop(old);
    pthread_mutex_unlock(&entry->lock);
}

/* Copies ParameterStatus messages, the one of `name` with another value. False: it is not among them, or has this value. */
static bool corrected(const PwBuf *from, const char *name, const char *value, PwBuf *ret_params)
{
    const uint8_t *p = pw_buf_head(from), *end = p + pw_buf_unread(from);
    bool differs = false;
    for (size_t len; p < end; p += len) {
        const char *key, *old;
        len = read_param(p, &key, &old);
        if (strcmp(key, name) == 0 && strcmp(old, value) != 0) {
            pw_msg_param_status(ret_params, name, value);
            differs = true;
        } else {
            pw_buf_append(ret_params, p, len);
        }
    }
    return differs;
}

void pool_entry_correct_welcome(PoolEntry *entry, const char *name, const char *value)
{
    Welcome *old = pool_entry_welcome(entry);
    if (!old)
        return;
    Welcome *fresh = pw_xcalloc(1, sizeof(*fresh));
    bool differs = corrected(&old->params, name, value, &fresh->params);
    params_copy(&fresh->tracked, &old->tracked);
    pw_atomic_store_relaxed(&fresh->as_of, pw_atomic_load_relaxed(&old->as_of));
    fresh->refs = 1;
    if (differs)
        pool_entry_set_welcome(entry, fresh);
    else
        welcome_drop(fresh);
    welcome_unref(entry, old);
}

void pool_entry_confirm_welcome(PoolEntry *entry, PwUsec now)
{
    pthread_mutex_lock(&entry->lock);
    if (entry->welcome)
        pw_atomic_store_relaxed(&entry->welcome->as_of, now);
    pthread_mutex_unlock(&entry->lock);
}

void pool_entry_forget_welcome(PoolEntry *entry)
{
    pthread_mutex_lock(&entry->lock);
    Welcome *w = entry->welcome;
    entry->welcome = NULL;
    if (w)
        welcome_drop(w);
    pthread_mutex_unlock(&entry->lock);
}

void welcome_unref(PoolEntry *entry, Welcome *w)
{
    pthread_mutex_lock(&entry->lock);
    welcome_drop(w);
    pthread_mutex_unlock(&entry->lock);
}
