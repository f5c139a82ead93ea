/* SPDX-License-Identifier: ISC */
/* client_explain.c - why a client that waits has no server, for people */
#include <stdio.h>
#include <string.h>

#include "pooler/client/client_priv.h"

/* A limit whose servers are all taken; *ret_n: how many these are. */
static bool is_full(LimitCounter *limit, int *ret_n)
{
    int max = limit ? pw_atomic_load(&limit->max) : 0;
    *ret_n = limit ? pw_atomic_load(&limit->used) : 0;
    return max > 0 && *ret_n >= max;
}

/* The last attempt failed, and none has worked since. */
static bool fails(PoolEntry *e, char *text, size_t size)
{
    if (!pw_atomic_load(&e->failed_at))
        return false;
    pthread_mutex_lock(&e->lock);
    snprintf(text, size, "the last attempt to get a server failed: %s; the log of the pooler says which and why", e->fail_text);
    pthread_mutex_unlock(&e->lock);
    return true;
}

/* Errors that say no more than that it took too long. */
static bool is_timeout(const char *error)
{
    static const char login[] = "client_login_timeout";
    return strcmp(error, "query_wait_timeout") == 0 || strcmp(error, "query_timeout") == 0 || strncmp(error, login, sizeof(login) - 1) == 0;
}

const char *client_explain_wait(const Client *c, const char *error, char text[CLIENT_EXPLAIN_TEXT])
{
    PoolEntry *e = c->entry;
    int n;
    if (!client_is_waiting_since(c) || !is_timeout(error))
        return NULL;
    int connecting = pw_atomic_load(&e->pool->n_connecting);
    bool none = pw_atomic_load(&e->pool->size.used) <= connecting; /* there is no server that could be taken */
    if (pw_atomic_load(&e->db->paused))
        snprintf(text, CLIENT_EXPLAIN_TEXT, "database \"%.63s\" is paused; RESUME on the console of the pooler ends that", e->db->name);
    else if (none && fails(e, text, CLIENT_EXPLAIN_TEXT))
        return text;
    else if (none && connecting)
        snprintf(text, CLIENT_EXPLAIN_TEXT, "a server is being connected, which has not come to an end (server_connect_timeout)");
    else if (is_full(&e->pool->size, &n))
        snprintf(text, CLIENT_EXPLAIN_TEXT, "all servers of the pool are taken: %d (pool_size)", n);
    else if (is_full(e->pool->database, &n))
        snprintf(text, CLIENT_EXPLAIN_TEXT, "all servers of the database are taken: %d (max_db_connections)", n);
    else if (is_full(e->pool->user, &n))
        snprintf(text, CLIENT_EXPLAIN_TEXT, "all servers of the user are taken: %d (max_user_connections)", n);
    else if (!fails(e, text, CLIENT_EXPLAIN_TEXT))
        return NULL;
    return text;
}
