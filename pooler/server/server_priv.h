/* SPDX-License-Identifier: ISC */
/* server_priv.h - between the files of pooler/server. */
#ifndef POOLER_SERVER_SERVER_PRIV_H
#define POOLER_SERVER_SERVER_PRIV_H

#include "pooler/server/server.h"

/* server.c */
Server *server_create(PoolShard *shard); /* not connecting yet */
void server_log_closing(const Server *s, const char *why); /* log_disconnections */
void server_forget_session(Server *s); /* all that is known of its connection's session, TLS set included; the socket is closed */
void server_send_terminate(Server *s); /* unless something is unsent in front of it */

/* server_input.c */
void server_ready_input(Server *s);

/* server_maintain.c */
void server_check_connect(Server *s, PwUsec now); /* closes it, or tries the next host, when that takes too long */
void server_to_pool(Server *s); /* clean: release it, or close it when it is retired */

/* server_connect.c */
void server_connect_start(Server *s);                       /* may fail from a later loop turn only */
void server_connected(Server *s);                           /* the start-up packet went out */
void server_connect_failed(Server *s, const char *reason);  /* tries the next host; if there is none the pool remembers it, closes */
/* LOGIN, before its first request: the server says that it takes nobody now. True: the next host is tried; false: there is none. */
bool server_connect_elsewhere(Server *s, const char *reason);
void server_connect_worked(Server *s); /* logged in */

/* server_tls.c */
void server_build_first(Server *s, PwBuf *out); /* SSLRequest or start-up packet */
void server_build_ssl_request(PwBuf *out);
void server_tls_input(Server *s);          /* the answer to SSLRequest */
void server_tls_done(Server *s, bool ok);  /* the handshake ended */

/* server_own.c */
bool server_wanted_blank(const PoolShard *shard); /* inside PoolOps.connect */
void server_blank_start(Server *s);
const char *server_own_retire_reason(const Server *s); /* NULL: stays; else its client is closed with it */

/* server_login.c */
void server_build_startup(Server *s, PwBuf *out);
void server_login_input(Server *s);
void server_login_finish(Server *s); /* forgets secrets */
void server_pool_failed(Server *s, const char *sqlstate, const char *text); /* a failed login is the pool's, unless it was one client's own */

/* server_chore.c */
void server_chore_input(Server *s);
void server_chore_next(Server *s); /* goes on with what is to do before the release */
void server_chore_maintain(Server *s, PwUsec now); /* every tick: what takes too long */

/* server_cancel.c */
void server_cancel_orphan(Server *s); /* the server closes: requests under way forget it */
void server_cancel_too_late(Server *s); /* the server is released: requests that still wait have ended */
void server_cancel_serve(PoolLocal *local); /* looks for a place for requests that wait */

/* server.c */
void server_open_stream(Server *s, int fd);

#endif
