/* SPDX-License-Identifier: ISC */
/* cancel_index.h - the clients of one worker by their cancel keys (WorkerCtx.by_cancel_key).
 *
 * A chained hash table of which each client carries one pointer: uthash's handle takes 56 bytes, and there is one for each idle
 * client. The keys are random, so they need no mixing against an attacker. Its worker only. */
#ifndef POOLER_CLIENT_CANCEL_INDEX_H
#define POOLER_CLIENT_CANCEL_INDEX_H

#include "pooler/client/client.h"

/* The client that has this key, NULL. Hops do not count. */
Client *cancel_index_find(const ClientIndex *index, const CancelKey *key);
void cancel_index_add(ClientIndex *index, Client *c);    /* by c->cancel_key, which nobody else has */
void cancel_index_remove(ClientIndex *index, Client *c); /* it is there; the last one takes the memory along */

#endif
