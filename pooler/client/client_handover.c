/* SPDX-License-Identifier: ISC */
/* client_handover.c - a client at rest moves to another process of the same binary (-R): its open socket and, as bytes,
 * all that it would miss.
 *
 *   old process: client_portable -> client_hand_over -> fd, bytes --- unix socket ---> client_adopt: new process
 *
 * At rest is who is logged in, has no server and no request under way. What the bytes do not say cannot move: such a
 * client stays where it is until it goes. They hold secrets (keys of a SCRAM login) and are wiped by whoever held them. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pooler/client/cancel_index.h"
#include "pooler/client/client_priv.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/shape.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* ---- leaving ---- */

bool client_portable(const Client *c)
{
    return c->state == CLIENT_READY && !client_is_tls(c) && !client_is_waiting(c) && relay_is_at_rest(&c->relay) &&
           !c->relay.names.table;
}

static void put_bytes(PwBuf *out, const void *bytes, size_t n)
{
    pw_buf_append_be32(out, (uint32_t)n);
    pw_buf_append(out, bytes, n);
}

static void put_params(PwBuf *out, const ParamSet *params)
{
    for (unsigned i = 0; i < params_count(); i++) {
        const char *value = params_get(params, i);
        if (!value)
            continue;
        pw_buf_append_cstr(out, params_name(i));
        pw_buf_append_cstr(out, value);
    }
    pw_buf_append_cstr(out, "");
}

static void put_shape(PwBuf *out, uint64_t shape)
{
    pw_buf_append_be32(out, (uint32_t)(shape >> 32));
    pw_buf_append_be32(out, (uint32_t)shape);
}

/* What follows of a statement, and what is to be known of it. */
enum { HANDED_TYPES = 1, HANDED_FAILED = 2 };

/* Each with what the client was told of it: rows, and parameters as a ParameterDescription has them. */
static void put_statements(PwBuf *out, const ClientStatements *statements)
{
    for (const ClientStatement *s = statements->table; s; s = s->hh.next) {
        pw_buf_append_cstr(out, s->name);
        put_bytes(out, s->statement->body, s->statement->body_len);
        put_shape(out, s->told);
        pw_buf_append_u8(out, (uint8_t)((s->types ? HANDED_TYPES : 0) | (s->failed ? HANDED_FAILED : 0)));
        pw_buf_append_be16(out, s->n_types);
        pw_buf_append(out, s->types, (size_t)s->n_types * 4);
    }
    pw_buf_append_cstr(out, "");
}

/* What it has set beside these: 's' or 'f' (Setting.flat), name, value; a zero byte ends it. */
static void put_settings(PwBuf *out, const Settings *settings)
{
    Setting at;
    for (size_t pos = 0; settings_next(settings, &pos, &at);) {
        pw_buf_append_u8(out, at.flat ? 'f' : 's');
        pw_buf_append_cstr(out, at.name);
        pw_buf_append_cstr(out, at.value);
    }
    pw_buf_append_u8(out, 0);
}

/* What logins to servers as this user need and no file says. */
static void put_secrets(PwBuf *out, PoolEntry *e)
{
    Secret secret;
    ScramKeys keys;
    put_bytes(out, &keys, pool_entry_copy_keys(e, &keys) ? sizeof(keys) : 0);
    pw_wipe(&keys, sizeof(keys));
    if (registry_user_secret(e->user, &secret)) {
        put_bytes(out, secret.text, secret.len);
        secret_finish(&secret);
    } else {
        put_bytes(out, NULL, 0);
    }
}

static void put_unnamed(PwBuf *out, const RelayUnnamed *u)
{
    put_bytes(out, u ? pw_buf_head(&u->parse) : NULL, u ? pw_buf_unread(&u->parse) : 0);
    put_shape(out, u ? u->told : SHAPE_UNKNOWN);
}

/* As it was told to the client; empty: it has none. */
static void put_key(PwBuf *out, const Client *c)
{
    uint8_t wire[CANCEL_KEY_LONG];
    if (!c->has_key) {
        put_bytes(out, NULL, 0);
        return;
    }
    cancel_key_write(&c->cancel_key, c->cancel_key.hops, wire);
    put_bytes(out, wire, c->cancel_key.len);
}

int client_hand_over(Client *c, PwBuf *ret_state)
{
    int fd = fcntl(c->relay.stream.fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -1;
    PwUsec age = worker_now(c->relay.stream.worker) - c->connected_at;
    pw_buf_append_be32(ret_state, CLIENT_HANDOVER_FORM);
    pw_buf_append_cstr(ret_state, c->user);
    pw_buf_append_cstr(ret_state, c->database);
    pw_buf_append_be32(ret_state, c->protocol);
    put_key(ret_state, c);
    pw_buf_append_be32(ret_state, (uint32_t)(age / PW_USEC_PER_SEC));
    put_params(ret_state, &c->relay.params);
    put_statements(ret_state, &c->relay.statements);
    put_settings(ret_state, c->relay.state.committed);
    put_settings(ret_state, c->relay.state.startup);
    put_unnamed(ret_state, c->relay.unnamed);
    put_secrets(ret_state, c->entry);
    client_close(c, NULL, "handed over to the new process");
    return fd;
}

/* ---- arriving ---- */

typedef struct Arrival {
    MailNode node;
    unsigned worker;
    int fd;
    size_t n;
    uint8_t state[];
} Arrival;

static void put_spelled(const Settings **all, const char *spelled, const char *value)
{
    char *name = settings_name(spelled);
    settings_put(all, name, value, true);
    free(name);
}

/* Those that the old process tracked and this one does not (track_extra_parameters) become settings: *others. */
static bool get_params(PwCursor *in, ParamSet *params, const Settings **others)
{
    const char *name;
    while (*(name = pw_cursor_cstr(in))) {
        const char *value = pw_cursor_cstr(in);
        int i = params_index(name);
        if (!in->bad && i >= 0)
            params_set(params, (unsigned)i, value);
        else if (!in->bad)
            put_spelled(others, name, value);
    }
    return !in->bad;
}

static uint64_t get_shape(PwCursor *in)
{
    uint64_t high = pw_cursor_be32(in);
    return high << 32 | pw_cursor_be32(in);
}

static bool get_statements(PwCursor *in, ClientStatements *statements, unsigned lex_flags)
{
    const char *name;
    while (*(name = pw_cursor_cstr(in))) {
        uint32_t n = pw_cursor_be32(in);
        const uint8_t *body = pw_cursor_bytes(in, n);
        Statement *st = body ? statement_intern(body, n, 0, lex_flags) : NULL;
        if (!st)
            return false;
        ClientStatement *cs = client_statements_add(statements, name, st);
        cs->told = get_shape(in);
        uint8_t flags = pw_cursor_u8(in);
        cs->failed = flags & HANDED_FAILED;
        const uint8_t *types = in->p;
        size_t n_types = (size_t)pw_cursor_be16(in) * 4;
        if (pw_cursor_bytes(in, n_types) && (flags & HANDED_TYPES))
            client_statement_tell_types(cs, types, n_types + 2);
    }
    return !in->bad;
}

/* A Bind of the unnamed statement without a Parse of its own sends it to the server first. */
static bool get_unnamed(PwCursor *in, Relay *r)
{
    uint32_t n = pw_cursor_be32(in);
    const uint8_t *parse = pw_cursor_bytes(in, n);
    uint64_t told = get_shape(in);
    if (in->bad || n == 0)
        return !in->bad;
    r->unnamed = pw_xcalloc(1, sizeof(*r->unnamed));
    r->unnamed->told = told;
    pw_buf_append(&r->unnamed->parse, parse, n);
    return true;
}

/* False: they are broken; *ret is then what could be read. */
static bool get_settings(PwCursor *in, const Settings **ret)
{
    const Settings *all = NULL;
    bool fits = true;
    for (uint8_t how; fits && (how = pw_cursor_u8(in)) != 0;) {
        const char *name = pw_cursor_cstr(in), *value = pw_cursor_cstr(in);
        fits = settings_put(&all, name, value, how == 'f');
    }
    *ret = all;
    return !in->bad && fits;
}

/* Takes `others` over: they are among them. */
static bool get_all_settings(PwCursor *in, Relay *r, const Settings *others)
{
    const Settings *committed;
    bool good = get_settings(in, &committed);
    Setting at;
    for (size_t pos = 0; settings_next(others, &pos, &at);)
        settings_put(&committed, at.name, at.value, true);
    settings_unref(others);
    session_state_adopt(&r->state, committed);
    good = good && get_settings(in, &r->state.startup);
    return good;
}

static bool get_secrets(PwCursor *in, PoolEntry *e)
{
    uint32_t n_keys = pw_cursor_be32(in);
    const uint8_t *keys = pw_cursor_bytes(in, n_keys);
    uint32_t n_secret = pw_cursor_be32(in);
    const uint8_t *secret = pw_cursor_bytes(in, n_secret);
    if (in->bad || pw_cursor_left(in) || (n_keys && n_keys != sizeof(ScramKeys)))
        return false;
    if (n_keys) {
        ScramKeys copy;
        memcpy(&copy, keys, sizeof(copy));
        pool_entry_set_keys(e, &copy);
        pw_wipe(&copy, sizeof(copy));
    }
    if (n_secret)
        registry_user_set_secret(e->user, (const char *)secret, n_secret);
    return true;
}

/* The key that the client was told stays its key. */
static void keep_key(Client *c, const uint8_t *wire, size_t n)
{
    WorkerCtx *ctx = client_ctx(c);
    if (n == 0 || cancel_key_read(&c->cancel_key, wire, n) != PW_OK)
        return;
    if (cancel_index_find(&ctx->by_cancel_key, &c->cancel_key))
        return;
    c->relay.told_pid = pw_be32(wire);
    cancel_index_add(&ctx->by_cancel_key, c);
    c->has_key = true;
}

static const char *settle(Client *c, PwCursor *in)
{
    WorkerCtx *ctx = client_ctx(c);
    PwUsec now = worker_now(ctx->worker);
    if (pw_cursor_be32(in) != CLIENT_HANDOVER_FORM)
        return "unknown form of a client that was handed over";
    c->user = pw_xstrdup(pw_cursor_cstr(in));
    c->database = pw_xstrdup(pw_cursor_cstr(in));
    c->protocol = pw_cursor_be32(in);
    uint32_t n_key = pw_cursor_be32(in);
    const uint8_t *key = pw_cursor_bytes(in, n_key);
    PwUsec age = (PwUsec)pw_cursor_be32(in) * PW_USEC_PER_SEC;
    if (in->bad)
        return "broken client that was handed over";
    c->connected_at = now - age;
    c->connected_wall = pw_time_wall() - age;
    if (!client_login_adopted(c))
        return "no such database";
    keep_key(c, key, n_key);
    const Settings *others = NULL;
    bool good = get_params(in, &c->relay.params, &others) && get_statements(in, &c->relay.statements, relay_lex_flags(&c->relay));
    if (!get_all_settings(in, &c->relay, others) || !good || !get_unnamed(in, &c->relay) || !get_secrets(in, c->entry))
        return "broken client that was handed over";
    return NULL;
}

/* As the listener tells it of a new connection. */
static NetAddr peer_of(int fd, int port)
{
    NetAddr peer;
    NetCred cred;
    if (net_addr_of_peer(fd, &peer) != PW_OK) {
        memset(&peer, 0, sizeof(peer)); /* it is gone already, which the first read will tell */
        return peer;
    }
    if (net_addr_is_unix(&peer)) {
        net_addr_set_port(&peer, (uint16_t)port);
        if (net_addr_peer_cred(fd, &cred) == PW_OK)
            peer.unix_pid = cred.pid;
    }
    return peer;
}

static void on_arrival(MailNode *node)
{
    Arrival *a = (Arrival *)node;
    Worker *w = worker_get(a->worker);
    NetAddr peer = peer_of(a->fd, worker_ctx(w)->config->listen_port);
    Client *c = client_create(w, a->fd, &peer, net_addr_is_unix(&peer));
    PwCursor in = pw_cursor(a->state, a->n);
    const char *problem = settle(c, &in);
    if (problem)
        client_close(c, "server shutting down", problem);
    else
        client_login_resume(c);
    pw_wipe(a->state, a->n);
    free(a);
}

void client_adopt(int fd, const uint8_t *state, size_t n)
{
    /* Its cancel key (behind form, user, database and protocol) names its worker. */
    PwCursor in = pw_cursor(state, n);
    (void)pw_cursor_be32(&in);
    (void)pw_cursor_cstr(&in);
    (void)pw_cursor_cstr(&in);
    (void)pw_cursor_be32(&in);
    uint32_t n_key = pw_cursor_be32(&in);
    CancelKey key;
    const uint8_t *wire = pw_cursor_bytes(&in, n_key);
    unsigned worker = wire && n_key && cancel_key_read(&key, wire, n_key) == PW_OK ? cancel_key_worker(&key) : 0;
    worker %= workers_count();
    Arrival *a = pw_xmalloc(sizeof(*a) + n);
    a->node.run = on_arrival;
    a->worker = worker;
    a->fd = fd;
    a->n = n;
    memcpy(a->state, state, n);
    client_joins_worker(worker);
    worker_post(worker, &a->node);
}
