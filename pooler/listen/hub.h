/* SPDX-License-Identifier: ISC */
/* hub.h - the shared listening connection of a pool, on the pool's listening worker (see listen.h).
 *
 *      DOWN --> CONNECTING --> UP --> DOWN --> ...          made by the first ask, opened while any channel is wanted
 *
 * It connects at once when somebody asks; after a failure again when server_login_retry is over. When a connect fails who waits for an
 * answer is refused; who was told "live" before keeps that, and is told of the gap when it is back. Without channels it stays
 * for server_idle_timeout, at most as long as the pool has clients. When it has said nothing for server_check_delay it is asked, and
 * closed if it does not answer within server_connect_timeout. */
#ifndef POOLER_LISTEN_HUB_H
#define POOLER_LISTEN_HUB_H

#include "pooler/listen/listen.h"

typedef struct Server Server;

/* Each on the pool's worker `local`; nothing happens where there is no hub. */
void listen_hub_tick(PoolLocal *local, PwUsec now);
/* PAUSE, RESUME, RELOAD, RECONNECT: what holds for the pool has changed. */
void listen_hub_refresh(PoolLocal *local);

typedef struct ListenHubInfo {
    Server *server; /* NULL: none; it waits */
    const char *state;    /* down, connecting, up, paused */
    unsigned channels;
    uint64_t notifications, connects;
} ListenHubInfo;

/* False: there is no hub here. */
bool listen_hub_info(const PoolLocal *local, ListenHubInfo *ret);

#endif
