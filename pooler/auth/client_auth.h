/* SPDX-License-Identifier: ISC */
/* client_auth.h - the login of one client: method, messages out, messages in, result.
 *
 * No I/O. The caller sends what is appended to `out` and feeds the payload of each PasswordMessage
 * ('p', without type and length). After AUTH_STEP_OK the caller itself sends AuthenticationOk.
 * An unknown user (secret NULL) goes through the same messages and fails at their end; nothing that is
 * sent tells it from a wrong password. One worker at a time. */
#ifndef POOLER_AUTH_CLIENT_AUTH_H
#define POOLER_AUTH_CLIENT_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/auth_step.h"
#include "pooler/auth/scram_cache.h"
#include "pooler/auth/scram_work.h"
#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"
#include "poolwise/err.h"

typedef struct ClientAuth ClientAuth;

typedef enum ClientAuthMethod {
    CLIENT_AUTH_TRUST, /* the user must be known */
    CLIENT_AUTH_ANY,
    CLIENT_AUTH_PLAIN,
    CLIENT_AUTH_MD5, /* becomes SCRAM when the user's secret is a SCRAM verifier */
    CLIENT_AUTH_SCRAM,
    CLIENT_AUTH_EXTERNAL, /* a clear-text password, which somebody else judges: no secret is needed */
    CLIENT_AUTH_METHOD_COUNT
} ClientAuthMethod;

typedef struct ClientAuthSpec {
    ClientAuthMethod method;
    const char *user;          /* copied */
    const Secret *secret;      /* NULL: no such user; must live as long as the ClientAuth (hold the UserList) */
    uint32_t scram_iterations; /* for secrets that are no SCRAM verifier; 0 means 4096 */
    ScramCache *cache;         /* the process' one; never NULL */
    /* With TLS: the hash of our certificate (channel binding tls-server-end-point); SCRAM then offers PLUS. Copied. */
    const uint8_t *endpoint_hash;
    size_t endpoint_hash_len; /* at most AUTH_HASH_MAX */
    bool binding_required;    /* SCRAM offers nothing but PLUS */
    bool defer_work;           /* key derivations are handed out as AUTH_STEP_WORK; false: run in place */
} ClientAuthSpec;

/* This client is in without being asked anything: no ClientAuth is needed. */
static inline bool client_auth_asks_nothing(ClientAuthMethod method, const Secret *secret)
{
    return method == CLIENT_AUTH_ANY || (method == CLIENT_AUTH_TRUST && secret);
}

/* PW_ERR_IO: no random bytes. PW_ERR_TOO_LARGE: a user name above AUTH_USER_MAX or a hash above AUTH_HASH_MAX. */
PW_MUSTCHECK PwErr client_auth_create(const ClientAuthSpec *spec, ClientAuth **ret_auth);
void client_auth_destroy(ClientAuth *auth); /* wipes; NULL is fine */

/* Appends the request for the password ('R'), or ends at once for trust and any. Call once. */
AuthStep client_auth_start(ClientAuth *auth, PwBuf *out);

/* Eats one 'p' payload of n bytes; at most PW_AUTH_MAX, more is AUTH_STEP_FAILED. The payload may hold a
 * password: the caller wipes its buffer. After OK or FAILED further calls are FAILED. */
AuthStep client_auth_message(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out);

/* After AUTH_STEP_WORK, once: the derivation; the caller finishes it. client_auth_resume takes its outcome and
 * goes on with the message that asked for it. Messages in between are FAILED. */
void client_auth_take_work(ClientAuth *auth, ScramWork *ret_work);
AuthStep client_auth_resume(ClientAuth *auth, const ScramWork *work, PwBuf *out);

/* CLIENT_AUTH_EXTERNAL: AUTH_STEP_WORK means that client_auth_password() is to be judged; this is the judgement.
 * `error` (static storage): what the client is told if it is wrong. */
AuthStep client_auth_judged(ClientAuth *auth, bool right, const char *error);

/* After FAILED: what the client is told (FATAL 08P01), as PgBouncer words it. Static storage. */
const char *client_auth_error(const ClientAuth *auth);

/* After FAILED: why, for our log only, or NULL when the error text says all. Static storage. */
const char *client_auth_detail(const ClientAuth *auth);

/* After OK by SCRAM against a stored SCRAM verifier: the keys for pass-through to a server; else NULL.
 * Owned by auth; copy what is to outlive it and wipe the copy. */
const ScramKeys *client_auth_scram_keys(const ClientAuth *auth);

/* After OK by a clear-text password that the stored secret does not hold: it, for logins to servers; also while
 * client_auth_judged is waited for; else NULL. Owned by auth. */
const char *client_auth_password(const ClientAuth *auth);

#endif
