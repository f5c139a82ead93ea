/* SPDX-License-Identifier: ISC */
/* scram_server.h - the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for our clients.
 *
 *   client-first ->           <- server-first          client-final ->           <- server-final
 *   n,,n=,r=NONCE             r=NONCE+ours,s=,i=       c=,r=,p=PROOF             v=SIGNATURE
 *
 * Eats and makes SASL payloads only; the messages around them are client_auth's. The user name inside
 * client-first is ignored, as PostgreSQL does: the start-up packet named the user. One thread at a time. */
#ifndef POOLER_AUTH_SCRAM_SERVER_H
#define POOLER_AUTH_SCRAM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/scram_crypto.h"
#include "pooler/auth/scram_step.h"
#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"

typedef enum ScramServerState {
    SCRAM_SERVER_START,      /* waits for client-first */
    SCRAM_SERVER_CHALLENGED, /* server-first was made; waits for client-final */
    SCRAM_SERVER_DONE,       /* OK or failed; takes nothing more */
    SCRAM_SERVER_STATE_COUNT
} ScramServerState;

typedef struct ScramServerSpec {
    const ScramVerifier *verifier; /* copied */
    bool doomed;                   /* mock: goes the whole way, then fails whatever the proof */
    /* Channel binding "tls-server-end-point": hash of our certificate. NULL: none, as without TLS. Must live as long. */
    const uint8_t *endpoint_hash;
    size_t endpoint_hash_len;
    const char *nonce; /* for test vectors; NULL: random */
} ScramServerSpec;

typedef struct ScramServer {
    ScramServerState state;
    ScramServerSpec spec;
    ScramVerifier verifier;
    bool plus;             /* the client chose the PLUS mechanism */
    PwBuf gs2;             /* header of client-first, for the check of c= */
    PwBuf auth_message;    /* client-first-bare "," server-first "," client-final-without-proof */
    PwBuf nonce;           /* the client's, then ours */
    uint8_t client_key[SCRAM_KEY_LEN]; /* valid after OK */
    const char *detail;
} ScramServer;

void scram_server_init(ScramServer *s, const ScramServerSpec *spec);
void scram_server_finish(ScramServer *s); /* wipes */

/* Appends the names of the mechanisms on offer, each with its NUL, best first. Needs no exchange yet, so that a
 * client that leaves at the sight of the list has cost no key derivation. */
void scram_server_mechanisms(bool channel_binding, PwBuf *out);

/* The client's choice, before its first payload; false when it was not offered. */
bool scram_server_choose(ScramServer *s, const char *mechanism);

/* Eats a payload; appends the answer on CONTINUE and OK only. */
ScramStep scram_server_message(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out);

/* After FAILED or PROTOCOL: why, for the log. Static storage. */
const char *scram_server_detail(const ScramServer *s);

#endif
