/* SPDX-License-Identifier: ISC */
/* server_beside.c - connections of a pool that no client is ever linked to: the shared listening one (pooler/listen).
 *
 * They log in as its servers do, but they are on none of its lists, so nobody is granted one, idle timeouts and server_lifetime
 * do not reach them, and PAUSE and the end of the pool are their user's to obey. They hold slots of max_db_connections and
 * max_user_connections, not of pool_size. That one cannot be connected is not held against the pool. */
#include "pooler/server/server_priv.h"

Server *server_open_beside(PoolLocal *local, const ServerUser *user, void *arg)
{
    if (!local->dbconf || !pool_beside_take(local->shard))
        return NULL;
    Server *s = server_create(local->shard);
    s->beside = true;
    s->ps.state = POOL_SERVER_ACTIVE;
    s->user = user;
    s->user_arg = arg;
    server_connect_start(s);
    return s;
}

void server_maintain_beside(Server *s, PwUsec now)
{
    if (server_is_connecting(s))
        server_check_connect(s, now);
}
