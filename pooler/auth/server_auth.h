/* SPDX-License-Identifier: ISC */
/* server_auth.h - our login to one server: eats its authentication requests, gives the answers.
 *
 * No I/O. A plain secret serves every method, an md5 secret only md5, a SCRAM secret only SCRAM and only
 * with the keys recovered from a client that logged in against the same verifier (pass-through).
 * One worker at a time. */
#ifndef POOLER_AUTH_SERVER_AUTH_H
#define POOLER_AUTH_SERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/auth_step.h"
#include "pooler/auth/scram_cache.h"
#include "pooler/auth/scram_work.h"
#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"
#include "poolwise/err.h"

typedef struct ServerAuth ServerAuth;

typedef struct ServerAuthSpec {
    const char *user;           /* the role we log in as; copied */
    const Secret *secret;       /* the line's password, else the user's secret; NULL: none. Must live as long */
    const ScramKeys *scram_keys; /* of client_auth_scram_keys(), or NULL; copied */
    ScramCache *cache;          /* the process' one; never NULL */
    /* With TLS: the hash of the server's certificate (channel binding tls-server-end-point). Copied. */
    const uint8_t *endpoint_hash;
    size_t endpoint_hash_len; /* at most AUTH_HASH_MAX */
    bool binding_required;    /* nothing but SCRAM-SHA-256-PLUS is answered */
    bool defer_work;            /* key derivations are handed out as AUTH_STEP_WORK; false: run in place */
} ServerAuthSpec;

PW_MUSTCHECK PwErr server_auth_create(const ServerAuthSpec *spec, ServerAuth **ret_auth);
void server_auth_destroy(ServerAuth *auth); /* wipes; NULL is fine */

/* Eats the payload of one 'R' message and appends whole 'p' messages to out. OK after AuthenticationOk
 * (which is refused in the middle of a SCRAM exchange: the server must prove itself first). `out` then
 * held a password or proof: the caller may wipe it once sent. After OK or FAILED further calls are FAILED. */
AuthStep server_auth_message(ServerAuth *auth, const uint8_t *payload, size_t n, PwBuf *out);

/* After AUTH_STEP_OK: whatever a server says before, the login is not over. */
bool server_auth_is_done(const ServerAuth *auth);

/* After AUTH_STEP_WORK, as with client_auth. */
void server_auth_take_work(ServerAuth *auth, ScramWork *ret_work);
AuthStep server_auth_resume(ServerAuth *auth, const ScramWork *work, PwBuf *out);

/* After FAILED: the reason, to stand behind "server login failed: ". Lives as long as auth. */
const char *server_auth_error(const ServerAuth *auth);

#endif
