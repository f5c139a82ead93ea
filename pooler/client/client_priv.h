/* SPDX-License-Identifier: ISC */
/* client_priv.h - between the files of pooler/client. */
#ifndef POOLER_CLIENT_CLIENT_PRIV_H
#define POOLER_CLIENT_CLIENT_PRIV_H

#include <stddef.h>

#include "pooler/client/client.h"

extern const ClientConsoleOps *client_console;
extern const RelayOps client_relay_ops;

static inline Client *client_of_relay(Relay *r)
{
    return (Client *)r;
}
static inline Client *client_of_waiter(PoolWaiter *w)
{
    return (Client *)((char *)w - offsetof(Client, waiter));
}
static inline WorkerCtx *client_ctx(const Client *c)
{
    return worker_ctx(c->relay.stream.worker);
}

/* client.c */
Client *client_create(Worker *w, int fd, const NetAddr *peer, bool is_unix); /* in STARTUP, not reading yet */
void client_begin(Client *c); /* begins to read, and reads what is there already; may close it */
void client_free_later(Client *c); /* closed; at the end of the loop turn */
void client_joins_worker(unsigned worker);
void client_left_worker(unsigned worker);

/* client_arrive.c: the next of those that have arrived becomes a client. False: there is none. */
bool client_begin_next(Worker *w);

/* client_pace.c: it is LEAVING, and is closed at the end of a turn of the loop. */
void client_pace(Client *c);
void client_pace_arrival(Worker *w); /* somebody has arrived */
void client_pace_not(Client *c);     /* it was LEAVING and is closed now */
unsigned client_pace_accept(const WorkerCtx *ctx); /* connections that may be accepted in this turn, for each worker */

/* client_startup.c: bytes wait in relay.held */
void client_startup_input(Client *c);

/* client_tls.c */
void client_tls_request(Client *c, bool gss); /* SSLRequest or GSSENCRequest is at the head of relay.held */
bool client_tls_is_direct(const Client *c);   /* relay.held begins with a ClientHello */
void client_tls_direct(Client *c);
void client_tls_done(Client *c, bool ok);     /* the handshake ended */
bool client_tls_is_missing(const Client *c);  /* the start-up packet came in clear, and must not */
bool client_tls_cert_names(const Client *c, const char *name); /* is it a name in the client's certificate? */

/* client_login.c */
void client_login_start(Client *c);  /* user and database are known */
void client_login_input(Client *c);  /* AUTH: password messages in relay.held */
void client_login_finish(Client *c); /* WELCOME: the pool's parameters are known */

bool client_is_console(const Client *c); /* by the name of its database */
/* A client from another process: user and database are known, its parameters and statements follow. False: no such
 * database. Limits do not send it away. */
bool client_login_adopted(Client *c);
void client_login_resume(Client *c); /* ... all is known: READY */

/* What a step of the login came to: sends `out`, closes, goes on. Then reads what the client sent meanwhile. */
void client_login_step(Client *c, AuthStep step, PwBuf *out);

/* client_slots.c: limits on clients. False: one is reached, and the client was closed with its text. */
bool client_take_total_slot(Client *c);
bool client_take_console_slots(Client *c); /* one of "pgbouncer" and of its user; limits do not keep admins out */
bool client_take_slots(Client *c, const DatabaseConf *dbconf);
void client_force_slots(Client *c, const DatabaseConf *dbconf); /* all of them, past every limit */
void client_release_slots(Client *c);                           /* those that it has */

/* client_job.c */
void client_job_start(Client *c);  /* after AUTH_STEP_WORK; goes on with client_login_step, later */
void client_job_cancel(Client *c); /* no job is fine */

/* client_method.c */
bool client_is_tls(const Client *c);
/* Sets auth_type, auth_map and auth_ldap of c->login. */
void client_method_choose(Client *c);
/* What needs no messages: peer, cert, and those whom no rule lets in. False: the client was closed. `known`: the user exists. */
bool client_method_check(Client *c, bool known);

void client_add_host(Client *c); /* application_name_add_host */
/* Tells the client that it is in: parameters, `untracked` ones first, its key, ReadyForQuery. False: it was closed. */
bool client_greet(Client *c, const PwBuf *untracked);

/* client_replication.c */
void client_replication_start(Client *c);
void client_replication_granted(Client *c, Server *s);

/* client_lookup.c */
/* Is there an auth_user to ask, and a database that the client asked for? An unknown database is not told before the
 * password was right, so nothing is asked for it. */
bool client_lookup_configured(const Client *c);
bool client_lookup_has_line(const Client *c); /* the database line itself has an auth_user, whatever [pgbouncer] says */
void client_lookup_start(Client *c); /* ends in client_login_found or a close */
void client_lookup_abort(Client *c);
void client_lookup_tick(Client *c, PwUsec now);
void client_login_found(Client *c, Secret *secret); /* client_login.c; takes the secret over */

/* client_recheck.c: `known` may be out of date. True: client_login_finish follows, or a close; false: it is good enough. */
typedef struct ClientRecheck ClientRecheck;
bool client_recheck_start(Client *c, Welcome *known);
void client_recheck_abort(Client *c); /* none is fine */
void client_recheck_tick(Client *c, PwUsec now);

/* client_explain.c: the detail of an error by which a wait for a server ends, for the client and the log: what kept it waiting. NULL: the
 * error says it, or nothing is known. */
#define CLIENT_EXPLAIN_TEXT 400
const char *client_explain_wait(const Client *c, const char *error, char text[CLIENT_EXPLAIN_TEXT]);

/* client_wait.c */
void client_wait_welcome(Client *c); /* asks the pool for a server to learn from */
void client_waiter_init(Client *c);
void client_count_failed_wait(Client *c); /* if it waits for a server: it goes without one */
void client_welcome_given_up(Client *c); /* it waits no more; another one may ask */
/* The pool cannot log in to its server, since `since`: who waits for it is told and closed. */
bool client_login_refused(Client *c, PoolEntry *e, PwUsec since);
/* No live server, and the last attempt failed just now: waiting would not help. */
bool client_pool_is_failing(PoolEntry *e, char *text, size_t size);
/* Nobody waits in a pool that sends its clients away: one attempt each server_login_retry finds out whether the server is back. */
void client_pool_try_again(PoolLocal *local);

/* client_cancel.c */
void client_cancel_request(Client *c, const uint8_t *bytes, size_t n);
bool client_cancel_waits(const Client *c); /* its request waits for a connection to the server */

/* client_close.c */
/* It has said goodbye and nothing holds it: it is closed soon. False: close it now. */
bool client_leave(Client *c, const char *reason);
void client_forget_auth(Client *c);

#endif
