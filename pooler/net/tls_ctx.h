/* SPDX-License-Identifier: ISC */
/* tls_ctx.h - TLS settings made ready: certificate, key, authorities, versions and ciphers, read once and shared by
 * all connections of that kind, whatever their number of databases.
 *
 * Immutable and reference-counted; any thread. A connection holds a reference, so a RELOAD that makes another
 * context leaves those that are open alone. */
#ifndef POOLER_NET_TLS_CTX_H
#define POOLER_NET_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>

#include "poolwise/err.h"

typedef struct TlsCtx TlsCtx;
struct ssl_ctx_st;

typedef enum TlsRole {
    TLS_ACCEPT,  /* toward clients: we show a certificate */
    TLS_CONNECT, /* toward servers */
} TlsRole;

typedef enum TlsVerify {
    TLS_VERIFY_NONE,
    TLS_VERIFY_IF_GIVEN, /* ACCEPT: a certificate is asked for when there is a CA; one that is sent must be good */
    TLS_VERIFY_CA,       /* a good certificate is a must */
    TLS_VERIFY_NAME,     /* CONNECT: and it must name the host */
} TlsVerify;

/* Texts may be NULL or empty: none, or the default. */
typedef struct TlsSpec {
    TlsRole role;
    TlsVerify verify;
    const char *prefix; /* of the options, for messages: "client_tls" */
    const char *ca_file, *cert_file, *key_file; /* PEM */
    const char *protocols; /* tlsv1.0 .. tlsv1.3, all, secure, legacy; a list with , or : and ! to take one away */
    const char *ciphers, *tls13_ciphers, *dheparams, *ecdhcurve;
    bool tickets; /* ACCEPT: clients may resume their sessions; never where certificates are asked for */
} TlsSpec;

#define TLS_WHY 300

/* Reads the files. PW_ERR_IO, PW_ERR_SYNTAX, PW_ERR_RANGE: why[TLS_WHY] then has a text. */
PW_MUSTCHECK PwErr tls_ctx_create(const TlsSpec *spec, TlsCtx **ret_ctx, char *why);
TlsCtx *tls_ctx_ref(TlsCtx *ctx);
void tls_ctx_unref(TlsCtx *ctx); /* NULL is fine */

/* Made from the same settings and the same contents of the files? NULL equals NULL only. Of two that are equal either may be used; tickets
 * of the one are not opened by the other. */
bool tls_ctx_equal(const TlsCtx *a, const TlsCtx *b);

/* Is the certificate that we show out of its dates now? Then ret_text[TLS_WHY] says how. */
bool tls_ctx_is_outdated(const TlsCtx *ctx, char *ret_text);

TlsRole tls_ctx_role(const TlsCtx *ctx);
bool tls_ctx_checks_name(const TlsCtx *ctx);
struct ssl_ctx_st *tls_ctx_ssl(TlsCtx *ctx);

#endif
