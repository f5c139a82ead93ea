/* SPDX-License-Identifier: ISC */
/* client.h - one client connection from accept to close. Belongs to one worker for life.
 *
 *   STARTUP [-> LOOKUP] -> AUTH -> WELCOME -> READY           an application
 *                   \-> CONSOLE                   the admin console
 *   STARTUP -> CANCEL                             a cancel request that is being carried out
 *   READY -> LEAVING                              has said goodbye; is closed when its turn has come
 *   any -> CLOSED                                 freed at the end of the loop turn
 *
 * While READY its traffic is the relay's. Every close goes through client_close with a reason. */
#ifndef POOLER_CLIENT_CLIENT_H
#define POOLER_CLIENT_CLIENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "pooler/auth/client_auth.h"
#include "pooler/config/ident.h"
#include "pooler/net/addr.h"
#include "pooler/relay/relay.h"
#include "pooler/session/cancel_key.h"

typedef enum ClientState {
    CLIENT_STARTUP, /* start-up packet expected */
    CLIENT_LOOKUP,  /* auth_query is asked for its secret */
    CLIENT_AUTH,    /* password or SASL messages expected */
    CLIENT_WELCOME, /* logged in; waits for the pool's first server to learn its parameters */
    CLIENT_READY,
    CLIENT_CONSOLE,
    CLIENT_CANCEL,
    CLIENT_LEAVING, /* it counts for no limit any more; in Pace.due, by waiter.link */
    CLIENT_CLOSED,
    CLIENT_STATE_COUNT
} __attribute__((packed)) ClientState;

typedef struct Client Client;
typedef struct ClientLookup ClientLookup;
typedef struct ClientJob ClientJob;

/* What a client needs from accept until it is logged in. */
typedef struct ClientLogin {
    bool ssl_asked, gss_asked, direct_tls; /* STARTUP */
    AuthType auth_type;       /* how this client has to prove who it is; AUTH_TYPE_COUNT: no rule lets it in */
    const Config *config;     /* AUTH: the snapshot that the login began with, one reference */
    const IdentMap *auth_map; /* LOOKUP, AUTH: of the rule, in `config` */
    const struct LdapOptions *auth_ldap; /* likewise; AUTH_TYPE_LDAP */
    ClientAuth *auth;
    ClientJob *job;  /* AUTH: what runs for this login on another thread; no message is read meanwhile */
    UserList *users; /* AUTH: one reference */
    ClientLookup *lookup; /* LOOKUP */
    Secret *found;        /* AUTH: what auth_query answered */
    bool new_secret;      /* AUTH: it is another one than the last time */
} ClientLogin;

/* Ten thousand of them do nothing most of the time: what only some need, or only for a while, is behind a pointer. How large an
 * idle one may be: tests/unit/pooler/client/test_client_size.c. */
struct Client {
    Relay relay; /* first; its stream is the connection */
    PoolWaiter waiter;
    PoolEntry *entry; /* one reference */
    TAILQ_ENTRY(Client) link; /* WorkerCtx.clients */
    Client *same_slot; /* the next one in its slot of WorkerCtx.by_cancel_key */
    uint64_t id;
    char *user, *database; /* its own until the login is done, then the registry's (names_borrowed) */
    char *options; /* replication only: `options` of the start-up packet, as it was */
    DbState *db;
    UserState *login_user;
    ClientLogin *login; /* NULL: it is logged in, or gone */
    PwUsec connected_at, connected_wall;
    union {
        void *console;             /* CONSOLE: the admin session */
        struct CancelMail *cancel; /* CANCEL: the request, until it is answered */
        struct ClientRecheck *recheck; /* WELCOME: a server is asked whether what the pool knows still holds; or NULL */
    };
    union {
        ClientSettings settings;
        WorkerDeferred deferred; /* CLOSED */
    };
    ClientState state;
    Replication replication;
    uint8_t cancels_waiting; /* CANCEL: answers still to come */
    uint32_t protocol; /* the version agreed on: 3.0, 3.1 (which is 3.0) or 3.2 */
    NetPeer peer;
    CancelKey cancel_key;
    bool has_key;      /* it is in WorkerCtx.by_cancel_key */
    bool notified;
    bool asks_welcome; /* WELCOME: it holds PoolEntry.welcome_asked */
    bool is_unix, counted, names_borrowed;
    bool console_counted; /* among client_count_consoles */
    bool console_admin;   /* may do more than SHOW */
    bool console_said_bye; /* by Terminate */
    bool console_own;     /* a process of our own uid on the unix socket: may be given sockets and secrets */
};

/* What the console (a layer above) does for a client in state CONSOLE. Set once before the workers start. */
typedef struct ClientConsoleOps {
    void (*open)(Client *c);
    /* One whole message. May close the client. */
    void (*message)(Client *c, uint8_t type, const uint8_t *payload, size_t n);
    void (*close)(Client *c); /* the connection ends: forget it */
    void (*cancel)(Client *c); /* a cancel request with the key of this console: ^C in psql */
} ClientConsoleOps;
void client_set_console(const ClientConsoleOps *ops);

/* Makes c->cancel_key and enters it in WorkerCtx.by_cancel_key; client_close takes it out. Appends the BackendKeyData. */
void client_cancel_register(Client *c, PwBuf *out);

/* What drivers may go by, as PgBouncer tells it since 1.26: ParameterStatus of pgbouncer.version and the like. */
void client_tell_pooler(PwBuf *out, const char *pool_mode, int max_prepared_statements);

/* A socket was accepted on worker w: hands it to the worker with the fewest clients. False: enough for this turn of the
 * loop (client_arrive.c). */
bool client_accept(Worker *w, int fd, const NetAddr *peer, bool is_unix);

/* The form of the bytes that a client becomes, and what HANDOVER calls it: whoever changes the one changes both, so that a
 * process never gets what it cannot read. */
#define CLIENT_HANDOVER_FORM    4
#define CLIENT_HANDOVER_CLIENTS "CLIENTS_4"
/* Clients that move at once, at most: they are frozen from the answer to their first read there. */
#define CLIENT_HANDOVER_AT_ONCE 64

/* For -R, see client_handover.c. On the client's worker: may it move? Then appends what it is to *ret_state and ends it
 * here; the answer is a descriptor of its connection, or -1 when there are no more. */
bool client_portable(const Client *c);
int client_hand_over(Client *c, PwBuf *ret_state);
/* Takes fd over. Any worker. */
void client_adopt(int fd, const uint8_t *state, size_t n);

/* Cancels what the client of this key does, as a cancel request would. done(arg) follows on worker `origin`, which calls
 * this. False: no such key is possible. */
bool client_cancel_by_key(unsigned origin, const uint8_t *bytes, size_t n, void (*done)(void *arg), void *arg);
/* Who may know a key that nobody here has (the process that we replace). Called on any worker; false: it does not, else it
 * calls done(arg) once, on any worker. Set once before the workers start. */
typedef bool (*ClientForeignCancel)(const CancelKey *key, void (*done)(void *arg), void *arg);
void client_set_foreign_cancel(ClientForeignCancel f);

/* Closes. `text`: FATAL message for the client, as PgBouncer has it (session/own_errors.h), or NULL; `reason`: for the log
 * (NULL: a close that nobody wants to read of). */
void client_close(Client *c, const char *text, const char *reason);
void client_close_with(Client *c, const char *sqlstate, const char *text, const char *reason);

/* Every tick and worker: all timeouts of clients. */
void client_tick(WorkerCtx *ctx, PwUsec now);

/* Where the client connected from; NetAddr.unix_pid is its process, if it came by a unix socket. */
static inline void client_peer(const Client *c, NetAddr *ret_addr)
{
    net_peer_addr(&c->peer, ret_addr);
}

Client *client_find(WorkerCtx *ctx, uint64_t id); /* by SHOW CLIENTS.id on this worker, NULL */

const char *client_state_name(const Client *c); /* active, idle, waiting, ... as SHOW CLIENTS prints it */
void client_log(const Client *c, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static inline bool client_is_waiting(const Client *c)
{
    return c->waiter.ticket != POOL_NO_TICKET;
}

/* The same, and those that log in and wait for what a server will tell another one. */
static inline bool client_is_waiting_since(const Client *c)
{
    return client_is_waiting(c) || (c->state == CLIENT_WELCOME && !c->recheck && c->waiter.since);
}

/* Clients of all workers, console excepted (max_client_conn); consoles. Any thread. */
int client_count_total(void);
int client_count_consoles(void);
int client_count_worker(unsigned worker);

#endif
