/* SPDX-License-Identifier: ISC */
/* peer_pool.h - cancel requests for clients of other processes: passed on to the peer that the key names ([peers]).
 *
 * All of it lives on the main worker. At most pool_size requests to a peer are under way; further ones wait in order. */
#ifndef POOLER_CLIENT_PEER_POOL_H
#define POOLER_CLIENT_PEER_POOL_H

#include "pooler/server/context.h"
#include "pooler/session/cancel_key.h"

/* Passes `key` on with one hop less. `done` is called once when the peer has closed the connection, the request failed, or
 * cancel_wait_timeout is over; possibly before this returns. Main worker. */
void peer_pool_forward(WorkerCtx *ctx, const CancelKey *key, void (*done)(void *arg), void *arg);

typedef struct PeerPoolCounts {
    int cl_active, cl_waiting; /* requests under way, and in the queue */
    int sv_active, sv_login;   /* connections that have sent theirs, and that are being connected */
} PeerPoolCounts;

PeerPoolCounts peer_pool_counts(int peer_id); /* main worker */

#endif
