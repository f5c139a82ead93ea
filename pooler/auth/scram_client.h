/* SPDX-License-Identifier: ISC */
/* scram_client.h - the client's side of SCRAM-SHA-256, for our logins to servers.
 *
 * Two sources of keys: a plain password (keys come from the cache or are derived), or the ClientKey that a
 * client's login showed us plus the ServerKey of its verifier (pass-through; nothing is derived). With TLS the
 * exchange is bound to the server's certificate if the server offers that; if not the header says "y", so that a
 * server that did offer it notices that somebody took the offer away. The server must prove that it knows the verifier: an exchange that
 * ends without its right signature has failed. One thread at a time. */
#ifndef POOLER_AUTH_SCRAM_CLIENT_H
#define POOLER_AUTH_SCRAM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/scram_cache.h"
#include "pooler/auth/scram_crypto.h"
#include "pooler/auth/scram_step.h"
#include "pooler/auth/scram_work.h"
#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"

/* A server that announces more is refused when we have to derive keys: it would stop a worker for seconds. */
#define SCRAM_CLIENT_ITERATIONS_MAX 1000000

typedef enum ScramClientState {
    SCRAM_CLIENT_START,    /* scram_client_first() is to be called */
    SCRAM_CLIENT_GREETED,  /* waits for server-first */
    SCRAM_CLIENT_PROVED,   /* client-final was made; waits for server-final */
    SCRAM_CLIENT_DONE,
    SCRAM_CLIENT_STATE_COUNT
} ScramClientState;

typedef struct ScramClientSpec {
    const char *owner;     /* whose password: keeps cache entries apart. Must live as long */
    const char *password;  /* plain; or NULL with keys. Must live as long */
    const ScramKeys *keys; /* for pass-through; copied */
    ScramCache *cache;     /* never NULL with a password */
    /* Channel binding "tls-server-end-point": hash of the server's certificate. NULL: none, as without TLS. Must live as long. */
    const uint8_t *endpoint_hash;
    size_t endpoint_hash_len;
    bool plus;             /* with endpoint_hash: the mechanism is SCRAM-SHA-256-PLUS */
    bool defer_work;       /* a derivation is handed out as SCRAM_WORK; false: run in place */
    const char *nonce;     /* for test vectors; NULL: random */
    const char *username;  /* for test vectors; NULL: empty, as libpq sends (servers take the start-up packet's) */
} ScramClientSpec;

typedef struct ScramClient {
    ScramClientState state;
    ScramClientSpec spec;
    ScramKeys keys;
    const char *gs2;    /* our header */
    PwBuf nonce;        /* ours */
    PwBuf auth_message;
    ScramWork work;     /* after SCRAM_WORK, until it is taken */
    ScramKeys derived;  /* valid when has_derived */
    bool has_derived;
    const char *detail;
    char mismatch[120]; /* a detail that has numbers in it */
} ScramClient;

void scram_client_init(ScramClient *c, const ScramClientSpec *spec);
void scram_client_finish(ScramClient *c); /* wipes */

/* Appends client-first: CONTINUE, or FAILED when there are no random bytes. Call once, first. */
ScramStep scram_client_first(ScramClient *c, PwBuf *out);

/* Eats server-first (appends client-final) or server-final (OK). */
ScramStep scram_client_message(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out);

/* After SCRAM_WORK: the derivation, once; then its keys. Call scram_client_message with the same payload again. */
void scram_client_take_work(ScramClient *c, ScramWork *ret_work);
void scram_client_give_keys(ScramClient *c, const ScramKeys *keys);

/* After FAILED or PROTOCOL: why. Lives as long as c. */
const char *scram_client_detail(const ScramClient *c);

#endif
