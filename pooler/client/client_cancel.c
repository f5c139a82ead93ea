/* SPDX-License-Identifier: ISC */
/* client_cancel.c - cancel keys and cancel requests.
 *
 * A key names the worker that owns the client (session/cancel_key.h), so the look-up is a message to that worker
 * and no table is shared. The connection that brought the request stays open until the request to the
 * server has ended: who waits for its end of file knows that the next query is safe.
 *
 *   requester's worker --CancelMail--> owner's worker: find, cancel --CancelMail--> requester's worker: close
 *
 * In a group of processes behind one address ([peers]) the key also names the process. A request for another one goes to the
 * main worker, which passes it on (peer_pool.h); the rest is the same. */
#include <stdlib.h>
#include <string.h>

#include "pooler/client/cancel_index.h"
#include "pooler/client/client_priv.h"
#include "pooler/client/peer_pool.h"
#include "pooler/relay/relay_listen.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

typedef struct CancelMail {
    MailNode node;
    CancelKey key;
    Client *requester; /* kept alive by cancels_waiting; NULL: who asked is told by `done` */
    void (*done)(void *arg);
    void *arg;
    unsigned origin;
    PW_ATOMIC(int) waits; /* 1: no connection to the server is free; written by the owner's worker until it answers */
    const char *why;      /* the answer: why it ended, or NULL */
} CancelMail;

static ClientForeignCancel foreign_cancel; /* NULL: there is nobody else */

void client_set_foreign_cancel(ClientForeignCancel f)
{
    foreign_cancel = f;
}

void client_cancel_register(Client *c, PwBuf *out)
{
    WorkerCtx *ctx = client_ctx(c);
    uint8_t wire[CANCEL_KEY_LONG];
    do {
        if (cancel_key_make(&c->cancel_key, ctx->worker->index, ctx->config->peer_id, c->protocol >= PW_PROTO_3_2) != PW_OK)
            return; /* no random bytes: this client cannot cancel, but nobody can guess its key */
    } while (cancel_index_find(&ctx->by_cancel_key, &c->cancel_key));
    cancel_index_add(&ctx->by_cancel_key, c);
    c->has_key = true;
    cancel_key_write(&c->cancel_key, c->cancel_key.hops, wire);
    c->relay.told_pid = pw_be32(wire);
    pw_msg_key_data(out, wire, c->cancel_key.len);
}

static void on_answer(MailNode *node)
{
    CancelMail *m = (CancelMail *)node;
    Client *c = m->requester;
    if (!c) {
        m->done(m->arg);
        free(m);
        return;
    }
    c->cancels_waiting--;
    c->cancel = NULL;
    if (c->state == CLIENT_CLOSED) {
        if (c->cancels_waiting == 0)
            client_free_later(c);
    } else {
        client_close(c, NULL, m->why ? m->why : "successfully sent cancel request");
    }
    free(m);
}

static void answer(void *arg)
{
    CancelMail *m = arg;
    m->node.run = on_answer;
    worker_post(m->origin, &m->node);
}

static void answer_why(void *arg, const char *why)
{
    ((CancelMail *)arg)->why = why;
    answer(arg);
}

static void on_request(MailNode *node)
{
    CancelMail *m = (CancelMail *)node;
    WorkerCtx *ctx = worker_ctx(worker_get(cancel_key_worker(&m->key)));
    Client *c = cancel_index_find(&ctx->by_cancel_key, &m->key);
    if (c && ctx->config->peer_id == 0 && m->key.hops != c->cancel_key.hops)
        c = NULL;
    if (!c && foreign_cancel && foreign_cancel(&m->key, answer, m))
        return;
    if (!c || c->state != CLIENT_READY) {
        if (c && c->state == CLIENT_CONSOLE)
            client_console->cancel(c);
        answer_why(m, !c ? "failed cancel request" : c->state == CLIENT_CONSOLE ? "cancel request for console client" : "cancel request for idle client");
        return;
    }
    if (client_is_waiting(c)) {
        client_count_failed_wait(c);
        pool_cancel(c->relay.local->shard, &c->waiter);
        relay_cancel_held(&c->relay);
        answer_why(m, "cancel request for waiting client");
        return;
    }
    if (c->relay.hold & HOLD_SYNC) { /* what runs on the server is ours, not the client's */
        relay_cancel_held(&c->relay);
        answer_why(m, "cancel request for waiting client");
        return;
    }
    if (c->relay.hold & HOLD_LISTEN) { /* nothing of it runs yet */
        relay_listen_cancel(&c->relay);
        answer_why(m, "cancel request for waiting client");
        return;
    }
    if (c->relay.server && c->relay.request_start) {
        ServerCancelCaller caller = {answer_why, m, &m->waits};
        server_cancel_send(c->relay.server, &caller);
        return;
    }
    answer_why(m, "cancel request for idle client");
}

static void on_forward(MailNode *node)
{
    CancelMail *m = (CancelMail *)node;
    peer_pool_forward(worker_ctx(worker_get(0)), &m->key, answer, m);
}

/* Why a request for another process of the group cannot be passed on; NULL: it can. */
static const char *forward_problem(const Config *config, const CancelKey *key)
{
    if (key->hops == 0)
        return "failed to forward cancel request because its TTL was exhausted";
    if (!config_find_peer(config, cancel_key_peer(key)))
        return "could not find peer to forward request to";
    return NULL;
}

void client_cancel_request(Client *c, const uint8_t *bytes, size_t n)
{
    CancelKey key;
    const Config *config = client_ctx(c)->config;
    c->state = CLIENT_CANCEL;
    if (cancel_key_read(&key, bytes, n) != PW_OK) {
        client_close(c, NULL, "bad cancel request");
        return;
    }
    bool is_peers = config->peer_id > 0 && cancel_key_peer(&key) != config->peer_id;
    const char *problem = is_peers                                      ? forward_problem(config, &key)
                          : cancel_key_worker(&key) >= workers_count() ? "failed cancel request"
                                                                       : NULL;
    if (problem) {
        client_close(c, NULL, problem);
        return;
    }
    CancelMail *m = pw_xcalloc(1, sizeof(*m));
    m->key = key;
    m->requester = c;
    m->origin = client_ctx(c)->worker->index;
    m->node.run = is_peers ? on_forward : on_request;
    c->cancels_waiting++;
    c->cancel = m;
    worker_post(is_peers ? 0 : cancel_key_worker(&key), &m->node);
}

bool client_cancel_waits(const Client *c)
{
    return c->state == CLIENT_CANCEL && c->cancel && pw_atomic_load(&c->cancel->waits);
}

bool client_cancel_by_key(unsigned origin, const uint8_t *bytes, size_t n, void (*done)(void *arg), void *arg)
{
    CancelKey key;
    if (cancel_key_read(&key, bytes, n) != PW_OK || cancel_key_worker(&key) >= workers_count())
        return false;
    CancelMail *m = pw_xcalloc(1, sizeof(*m));
    m->key = key;
    m->done = done;
    m->arg = arg;
    m->origin = origin;
    m->node.run = on_request;
    worker_post(cancel_key_worker(&key), &m->node);
    return true;
}
