/* SPDX-License-Identifier: ISC */
/* tls_set.h - the TLS settings that are in effect: one context toward clients, one toward servers.
 *
 * Apart from the configuration's snapshot, because it can lag behind: when `SET client_tls_key_file` names a key that does not
 * fit the certificate yet, the snapshot has the new value and the set stays the old one, modes included.
 * Immutable and reference-counted; any thread. */
#ifndef POOLER_SERVER_TLS_SET_H
#define POOLER_SERVER_TLS_SET_H

#include <stdbool.h>

#include "pooler/config/snapshot.h"
#include "pooler/net/tls_ctx.h"
#include "poolwise/diag.h"
#include "poolwise/refs.h"

typedef struct TlsSet {
    SslMode client_mode, server_mode;
    TlsCtx *client, *server; /* NULL: mode is disable */
    PwRefs refs;             /* private */
} TlsSet;

/* Reads every file. On failure why[TLS_WHY] has a text. `old`: the set that was in effect, or NULL. Where nothing about clients changed,
 * contents of files included, its context stays in use, and with it the session tickets that clients hold. */
PW_MUSTCHECK PwErr tls_set_create(const Config *config, const TlsSet *old, const TlsSet **ret_set, char *why);
const TlsSet *tls_set_ref(const TlsSet *set);
void tls_set_unref(const TlsSet *set); /* NULL is fine */

/* A warning for each certificate of ours that nobody accepts because of its dates. */
void tls_set_check_dates(const TlsSet *set, const Config *config, PwDiag *diags);

/* Would servers that were opened under `a` be opened differently under `b`? */
bool tls_set_server_differs(const TlsSet *a, const TlsSet *b);

#endif
