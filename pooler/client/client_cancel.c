/* SPDX-License-Identifier: ISC */
/* client_cancel.c - cancel keys and cancel requests.
 *
 * A key is 8 bytes: the worker that owns the client, then 7 random ones; so the look-up is a message to that worker
 * and no table is shared. The connection that brought the request stays open until the request to the
 * server has ended: who waits for its end of file knows that the next query is safe.
 *
 *   requester's worker --CancelMail--> owner's worker: find, cancel --CancelMail--> requester's worker: close */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

typedef struct CancelMail {
    MailNode node;
    uint8_t key[8];
    Client *requester; /* kept alive by cancels_waiting */
    unsigned origin;
} CancelMail;

void client_cancel_register(Client *c)
{
    WorkerCtx *ctx = client_ctx(c);
    Client *other;
    do {
        if (RAND_bytes(c->cancel_key, sizeof(c->cancel_key)) != 1)
            memcpy(c->cancel_key, &c->id, sizeof(c->id)); /* no entropy: unique, only guessable */
        c->cancel_key[0] = (uint8_t)ctx->worker->index;
        HASH_FIND(hh, ctx->by_cancel_id, c->cancel_key, sizeof(c->cancel_key), other);
    } while (other);
    HASH_ADD(hh, ctx->by_cancel_id, cancel_key, sizeof(c->cancel_key), c);
    c->hashed = true;
}

static void on_answer(MailNode *node)
{
    CancelMail *m = (CancelMail *)node;
    Client *c = m->requester;
    c->cancels_waiting--;
    if (c->state == CLIENT_CLOSED) {
        if (c->cancels_waiting == 0)
            worker_defer(worker_get(m->origin), &c->deferred);
    } else {
        client_close(c, NULL, "cancel request done");
    }
    free(m);
}

static void answer(void *arg)
{
    CancelMail *m = arg;
    m->node.run = on_answer;
    worker_post(m->origin, &m->node);
}

static void on_request(MailNode *node)
{
    CancelMail *m = (CancelMail *)node;
    WorkerCtx *ctx = worker_ctx(worker_get(m->key[0]));
    Client *c;
    HASH_FIND(hh, ctx->by_cancel_id, m->key, sizeof(m->key), c);
    if (!c || c->state != CLIENT_READY) {
        if (c && c->state == CLIENT_CONSOLE)
            client_console->cancel(c);
        answer(m);
        return;
    }
    if (client_is_waiting(c)) {
        pool_cancel(c->relay.local->shard, &c->waiter);
        relay_cancel_held(&c->relay);
        answer(m);
        return;
    }
    if (c->relay.server && c->relay.request_start && !(c->relay.hold & HOLD_SYNC)) {
        server_cancel_send(c->relay.server, answer, m);
        return;
    }
    answer(m); /* idle: nothing to cancel */
}

void client_cancel_request(Client *c, const uint8_t key[8])
{
    c->state = CLIENT_CANCEL;
    if (key[0] >= workers_count()) {
        client_close(c, NULL, "no such cancel key");
        return;
    }
    CancelMail *m = pw_xcalloc(1, sizeof(*m));
    memcpy(m->key, key, sizeof(m->key));
    m->requester = c;
    m->origin = client_ctx(c)->worker->index;
    m->node.run = on_request;
    c->cancels_waiting++;
    worker_post(key[0], &m->node);
}
