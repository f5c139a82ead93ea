/* SPDX-License-Identifier: ISC */
#include "pooler/server/tls_set.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "poolwise/mem.h"

static bool is_set(const char *text)
{
    return text && text[0];
}

/* What one option demands of another: NULL, or the text. */
static const char *objection(const Config *c)
{
    if (c->client_tls_sslmode != SSL_MODE_DISABLE && (!is_set(c->client_tls_key_file) || !is_set(c->client_tls_cert_file)))
        return "client_tls_sslmode needs client_tls_key_file and client_tls_cert_file";
    if (c->auth_type == AUTH_TYPE_CERT && c->client_tls_sslmode != SSL_MODE_VERIFY_FULL)
        return "auth_type=cert requires client_tls_sslmode=verify-full";
    if (c->auth_type == AUTH_TYPE_CERT && !is_set(c->client_tls_ca_file))
        return "auth_type=cert requires client_tls_ca_file";
    if (c->client_tls_sslmode >= SSL_MODE_VERIFY_CA && !is_set(c->client_tls_ca_file))
        return "this client_tls_sslmode requires client_tls_ca_file";
    return NULL;
}

static TlsVerify client_verify(SslMode mode)
{
    return mode >= SSL_MODE_VERIFY_CA ? TLS_VERIFY_CA : TLS_VERIFY_IF_GIVEN;
}

static TlsVerify server_verify(SslMode mode)
{
    return mode == SSL_MODE_VERIFY_FULL ? TLS_VERIFY_NAME : mode == SSL_MODE_VERIFY_CA ? TLS_VERIFY_CA : TLS_VERIFY_NONE;
}

static PwErr make_client(const Config *c, TlsCtx **ret_ctx, char *why)
{
    TlsSpec spec = {
        .role = TLS_ACCEPT,
        .verify = client_verify(c->client_tls_sslmode),
        .prefix = "client_tls",
        .ca_file = c->client_tls_ca_file,
        .cert_file = c->client_tls_cert_file,
        .key_file = c->client_tls_key_file,
        .protocols = c->client_tls_protocols,
        .ciphers = c->client_tls_ciphers,
        .tls13_ciphers = c->client_tls13_ciphers,
        .dheparams = c->client_tls_dheparams,
        .ecdhcurve = c->client_tls_ecdhcurve,
        .tickets = c->client_tls_session_tickets,
    };
    return tls_ctx_create(&spec, ret_ctx, why);
}

static PwErr make_server(const Config *c, TlsCtx **ret_ctx, char *why)
{
    TlsSpec spec = {
        .role = TLS_CONNECT,
        .verify = server_verify(c->server_tls_sslmode),
        .prefix = "server_tls",
        .ca_file = c->server_tls_ca_file,
        .cert_file = c->server_tls_cert_file,
        .key_file = c->server_tls_key_file,
        .protocols = c->server_tls_protocols,
        .ciphers = c->server_tls_ciphers,
        .tls13_ciphers = c->server_tls13_ciphers,
    };
    return tls_ctx_create(&spec, ret_ctx, why);
}

/* Any change of what clients must show ends the tickets given before it: also one between modes that OpenSSL does not know of. */
static TlsCtx *unchanged(TlsCtx *client, SslMode mode, const TlsSet *old)
{
    if (!old || old->client_mode != mode || !tls_ctx_equal(client, old->client))
        return client;
    tls_ctx_unref(client);
    return tls_ctx_ref(old->client);
}

PwErr tls_set_create(const Config *config, const TlsSet *old, const TlsSet **ret_set, char *why)
{
    const char *text = objection(config);
    if (text) {
        snprintf(why, TLS_WHY, "TLS setup failed: %s", text);
        return PW_ERR_RANGE;
    }
    TlsCtx *client = NULL, *server = NULL;
    PwErr err = PW_OK;
    if (config->client_tls_sslmode != SSL_MODE_DISABLE)
        err = make_client(config, &client, why);
    if (!err && config->server_tls_sslmode != SSL_MODE_DISABLE)
        err = make_server(config, &server, why);
    if (err) {
        tls_ctx_unref(client);
        return err;
    }
    TlsSet *set = pw_xcalloc(1, sizeof(*set));
    pw_refs_init(&set->refs);
    set->client = unchanged(client, config->client_tls_sslmode, old);
    set->server = server;
    set->client_mode = config->client_tls_sslmode;
    set->server_mode = config->server_tls_sslmode;
    *ret_set = set;
    return PW_OK;
}

const TlsSet *tls_set_ref(const TlsSet *set)
{
    pw_refs_take(&set->refs);
    return set;
}

void tls_set_unref(const TlsSet *set)
{
    if (!set || !pw_refs_drop(&set->refs))
        return;
    tls_ctx_unref(set->client);
    tls_ctx_unref(set->server);
    free((TlsSet *)(uintptr_t)set);
}

static void check_dates(const TlsCtx *ctx, const char *option, const char *path, const Config *config, PwDiag *diags)
{
    char text[TLS_WHY];
    if (ctx && tls_ctx_is_outdated(ctx, text))
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, "RELOAD reads a new one from the same file", "%s: the certificate in \"%s\" %s", option, path, text);
}

void tls_set_check_dates(const TlsSet *set, const Config *config, PwDiag *diags)
{
    check_dates(set->client, "client_tls_cert_file", config->client_tls_cert_file, config, diags);
    check_dates(set->server, "server_tls_cert_file", config->server_tls_cert_file, config, diags);
}

bool tls_set_server_differs(const TlsSet *a, const TlsSet *b)
{
    return a->server_mode != b->server_mode || !tls_ctx_equal(a->server, b->server);
}
