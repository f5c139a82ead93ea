/* SPDX-License-Identifier: ISC */
/* server.h - one connection to PostgreSQL: connect, login, chores between two clients, close.
 *
 * A server belongs to one worker at a time (PoolServer.shard). While it is linked to a client the relay
 * reads its socket (ServerUser.on_input); at all other times the server does, so that a dead or talking idle
 * server is noticed at once. Every close goes through server_close with a reason.
 *
 *   BLANK --> CONNECT [--> TLS] --> LOGIN --> LINKED  (server_own.c: of one client, from its login on)
 *             CONNECT [--> TLS] --> LOGIN --> LINKED  (server_beside.c: of the pool, but not in it)
 *   CONNECT [--> TLS] --> LOGIN --> CHORE(connect_query) --> READY <--> LINKED
 *                                                   ^          |
 *                                                   +- CHORE <-+   ROLLBACK, server_reset_query
 */
#ifndef POOLER_SERVER_SERVER_H
#define POOLER_SERVER_SERVER_H

#include <stdbool.h>

#include "pooler/auth/secrets.h"
#include "pooler/net/addr.h"
#include "pooler/net/stream.h"
#include "pooler/pool/pool.h"
#include "pooler/pool/registry.h"
#include "pooler/server/context.h"
#include "pooler/session/names.h"
#include "pooler/session/params.h"
#include "pooler/session/pipeline.h"
#include "pooler/session/prepared.h"
#include "pooler/session/replication.h"
#include "pooler/session/settings.h"
#include "poolwise/wire.h"

typedef struct Server Server;
struct ServerAuth;
struct CancelRequest;

typedef enum ServerPhase {
    SERVER_BLANK,   /* a slot without a socket, for a client that connects it its own way (server_own.c) */
    SERVER_CONNECT, /* name look-up and TCP connect */
    SERVER_TLS,     /* SSLRequest sent, or in the handshake */
    SERVER_LOGIN,   /* start-up packet sent */
    SERVER_CHORE,   /* runs statements of the pooler's own, no client */
    SERVER_READY,   /* idle, clean, watched */
    SERVER_LINKED,  /* the relay's */
    SERVER_CLOSED,
    SERVER_PHASE_COUNT
} ServerPhase;

/* Who uses a linked server. */
typedef struct ServerUser {
    void (*on_input)(Server *s);                     /* readable */
    void (*on_drained)(Server *s);                   /* its output buffer is empty again; may be NULL */
    void (*on_gone)(Server *s, const char *reason);  /* closed; already unlinked */
    void (*on_up)(Server *s); /* server_connect_own, server_open_beside: logged in, LINKED; the user may call server_link for what follows */
} ServerUser;

struct Server {
    PoolServer ps; /* first */
    WorkerDeferred deferred;
    Stream stream;
    uint64_t id;
    ServerPhase phase;
    const ServerUser *user; /* LINKED only */
    void *user_arg;

    /* input: what of a message has arrived and is held, and what of a streamed one is still to come */
    PwBuf held;
    uint32_t msg_left;
    bool msg_swallow;

    Pipeline pipeline;
    uint8_t txn_status; /* 'I', 'T' or 'E' of the last ReadyForQuery; 0 before the first */
    ParamSet params;
    const Settings *applied; /* unreported settings of the session, as far as they were followed; one reference */
    bool applied_unknown;    /* ... and there may be others */
    bool wash;               /* CHORE: its client held more than settings; DISCARD ALL is due */
    ServerStatements statements; /* prepared on this server */
    SqlNames names;              /* by SQL, under the names of clients */
    PwBuf group; /* LINKED: its client's requests since the last Sync, if they may have to be sent again (relay_stale.h) */
    uint32_t backend_pid;
    uint8_t cancel_key[PW_CANCEL_KEY_MAX]; /* process id and secret, as BackendKeyData had them */
    uint16_t cancel_key_len; /* 0: none was given, so nothing can be cancelled */
    int cancels; /* cancel requests under way to this server: it is not released before they end */

    uint32_t asked_version; /* LOGIN: the protocol version of our start-up packet */
    Replication replication;  /* other than NONE: belongs to one client */
    PwBuf startup;            /* start-up parameters of that client */
    struct event *blank_up;   /* BLANK and connecting: tells the pool that the slot is there */

    struct ServerAuth *auth; /* LOGIN */
    struct ServerJob *job;   /* LOGIN: a key derivation on another thread */
    Secret login_secret;     /* of the database line's password */
    const UserList *login_users; /* one reference, while `auth` uses a secret of it */
    PwBuf welcome; /* LOGIN: untracked ParameterStatus messages seen so far */
    ResolverQuery *lookup;
    NetAddr addr;  /* resolved; where cancel requests go too */
    char host[256]; /* as configured, for SHOW and the log */
    unsigned host_turn, hosts_tried; /* CONNECT: its place in a list of hosts, and how many of them were tried */
    NetAddr *addrs; /* CONNECT: all addresses of a name that has several */
    size_t n_addrs, next_addr;
    bool tls_asked; /* CONNECT: the first packet is an SSLRequest */
    const TlsSet *tls; /* one reference, when tls_asked: what it was opened under */
    const char *failed_early; /* CONNECT: could not even start; the next tick closes it */
    int chore_step;
    bool chore_failed;

    PwUsec connected_at, connected_wall, request_wall, linked_at;
    PwUsec released_at;
    PwUsec lifetime; /* server_lifetime with this server's jitter; 0: one use */
    uint64_t reconnect_epoch;
    uint64_t moved_epoch; /* its name had this address then (moved.h) */
    bool close_needed; /* RECONNECT, changed configuration, an address that is gone: closed when next released */
    const char *close_why;
    bool beside; /* on no list of its pool and without a slot of its size; its user's from its login to its end (server_beside.c) */
    bool let_finish; /* CHORE: the client said Terminate, not just vanished: what runs is not cancelled */
    bool reset_due; /* CHORE: server_reset_query is still to run */
    PwUsec asked_to_end; /* CHORE: when the last cancel request for what runs was sent; 0: it may finish */
    LIST_HEAD(CancelList, CancelRequest) cancel_list;
};

static inline Server *server_of(PoolServer *ps)
{
    return (Server *)ps;
}
static inline bool server_is_connecting(const Server *s)
{
    return s->phase == SERVER_CONNECT || s->phase == SERVER_TLS || s->phase == SERVER_LOGIN;
}
/* LINKED: its user has passed on the beginning of a message that is still coming. */
static inline bool server_is_inside_reply(const Server *s)
{
    return s->msg_left > 0 && !s->msg_swallow;
}
static inline PoolLocal *server_local(const Server *s)
{
    return pool_local(s->ps.shard);
}

/* RECONNECT or RELOAD wants it replaced: it is closed when it is next released. */
static inline bool server_is_obsolete(const Server *s)
{
    return s->close_needed || s->reconnect_epoch != server_local(s)->reconnect_epoch;
}

extern const PoolOps server_pool_ops; /* for registry_init */

/* Links a granted server to its user / gives it back to its owner's care. */
void server_link(Server *s, const ServerUser *user, void *arg);

/* A granted server becomes the client's own: whatever it was, it is connected anew with `startup` (pairs of a start-up
 * packet besides user, database and replication; taken over). Ends in on_up or on_gone, never inside this call. */
void server_connect_own(Server *s, const ServerUser *user, void *arg, Replication replication, PwBuf *startup);

/* A connection of the pool's user that is none of its servers: counted in the limits that pools share, not in pool_size. Ends in
 * on_up or on_gone, never inside this call. NULL: there is no slot, or no such database; nothing follows. */
Server *server_open_beside(PoolLocal *local, const ServerUser *user, void *arg);
/* Every tick, for such a server: connect timeout. */
void server_maintain_beside(Server *s, PwUsec now);

/* The user is done, or gone at any point of a conversation. Runs what has to be run (winds up what is owed, ROLLBACK, the
 * reset query if the user had it for its `whole_session`) and releases it to the pool, or closes it. */
void server_unlink(Server *s, bool whole_session);

/* Closes from any phase; frees at the end of the loop turn. The user hears on_gone. `reason` is logged. */
void server_close(Server *s, const char *reason);

/* Closes because the connection ended (at_end), or because a read or a send failed: what the kernel or TLS say stands in the log. */
void server_lost(Server *s, bool at_end);

/* Reads into the worker's scratch behind what is held: *ret_bytes .. *ret_n. The return value is that of recv:
 * > 0, 0 end of file, -1 would block, -2 error. Held bytes are handed over with it. */
ssize_t server_fill(Server *s, const uint8_t **ret_bytes, size_t *ret_n);
void server_hold(Server *s, const uint8_t *bytes, size_t n); /* what is left, for the next server_fill; n may be 0 */

/* Largest message that is held whole to be looked at. */
#define SERVER_HOLD_MAX (WORKER_SCRATCH_HEADROOM - 512)

/* What has arrived, for those who look at whole messages only:
 *
 *   if (!server_read(s, &in)) return;
 *   while (server_next_message(&in, &m)) ...   until the server is closed or another's
 *   in.bad: close it; else server_hold(s, in.p, in.n)
 *
 * The bytes are in the worker's scratch: nobody's, and gone when anything else is read. */
typedef struct ServerInput {
    const uint8_t *p; /* not taken yet: [0..n) */
    size_t n;
    bool bad; /* there is no message of a server, or a larger one than SERVER_HOLD_MAX */
} ServerInput;

typedef struct ServerMessage {
    uint8_t type;
    const uint8_t *payload; /* right behind the message's header; at least as long as messages.c says */
    size_t n;
} ServerMessage;

/* False: there is nothing to read, or the server was closed (end of file, error). */
bool server_read(Server *s, ServerInput *ret);
/* Takes the next message. False: no whole one is left; *ret is untouched. */
bool server_next_message(ServerInput *in, ServerMessage *ret);

/* A message that may come at any time after the login and answers nothing (notice, notification, ParameterStatus): true, and it is dealt
 * with, for those who have no client to tell. */
bool server_take_async(Server *s, uint8_t type, const uint8_t *payload, size_t n);

/* Reads answers to what was sent for the pooler itself. Each goes to `take`, which does not close the server, and is held against what is owed.
 * True: all has been answered; what came behind is held. False: there is more to come, or the server was closed. */
typedef void (*ServerTakeAnswer)(void *arg, const ServerMessage *m);
bool server_read_answers(Server *s, ServerTakeAnswer take, void *arg);

/* A ParameterStatus arrived after login. Returns its index if it is tracked, else -1. */
int server_param_status(Server *s, const uint8_t *payload, size_t n);

/* What its session has set now; takes a reference of its own. */
void server_set_applied(Server *s, const Settings *settings);

/* Sends one of the pooler's own statements; its replies are swallowed. False: the server was closed. */
bool server_send_own(Server *s, const char *sql);

/* An entry of its queue was dropped because of an error, or nobody waits for it any more: gives back what it
 * refers to. The relay does the same for its client's part. */
void server_entry_dropped(void *server, const PipelineEntry *e);
void server_entry_release(const PipelineEntry *e); /* an answered entry: gives its references back, not its query */

/* True when it should not be reused although it is clean (old, RECONNECT, PAUSE): text of the reason, else NULL. */
const char *server_retire_reason(Server *s, PwUsec now);
/* Closes the idle servers of this worker that have such a reason; `instead` (or NULL) is what the log says of it. Nobody may walk the idle
 * list and close: each close settles the pool, which may grant the next server to a client or hand it to another worker. */
void server_close_retired(PoolLocal *local, const char *instead, PwUsec now);

/* Every tick and worker: lifetime, idle timeout, connect timeout of this shard. */
void server_maintain(PoolLocal *local, PwUsec now);

/* Who asked for a cancel request; NULL members are skipped. `done` is called once when it has ended, well or badly, possibly
 * before server_cancel_send returns; `why` is a reason for the log, or NULL. */
typedef struct ServerCancelCaller {
    void (*done)(void *arg, const char *why);
    void *arg;
    PW_ATOMIC(int) *waits; /* 1 while it waits for a connection; not touched after `done` */
} ServerCancelCaller;

/* Starts a cancel request for what this server runs, or queues it when too many are under way; the server is released only
 * when it is over. `caller` NULL: nobody asked. */
void server_cancel_send(Server *s, const ServerCancelCaller *caller);

typedef struct ServerCancelInfo {
    bool waits; /* no connection yet */
    bool asked; /* by a client; else by the pooler, for a server whose client died */
    uint64_t id;
    const void *request;
    const Stream *stream;
    const NetAddr *addr;
    PwUsec connected_wall;
} ServerCancelInfo;

/* Cancel requests for servers of this shard. */
void server_cancel_each(const PoolLocal *local, void (*each)(void *arg, const ServerCancelInfo *info), void *arg);

void server_log(const Server *s, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
