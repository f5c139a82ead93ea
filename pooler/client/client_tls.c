/* SPDX-License-Identifier: ISC */
/* client_tls.c - TLS toward clients: SSLRequest, direct TLS, the end of the handshake, client certificates.
 *
 *   SSLRequest --'S'--> handshake --> start-up packet       (not over the unix socket: 'N')
 *   ClientHello (first byte 0x16) --> handshake, ALPN "postgresql" is a must --> start-up packet
 *
 * Bytes sent along with the SSLRequest, before our answer, are refused: they would count as sent inside TLS. */
#include <stdio.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "pooler/net/stream_tls.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

#define TLS_RECORD_HANDSHAKE 0x16

static const TlsSet *set_of(const Client *c)
{
    return client_ctx(c)->tls;
}

static bool is_offered(const Client *c)
{
    return set_of(c)->client != NULL && !c->is_unix;
}

static void start(Client *c, const uint8_t *first, size_t n)
{
    if (stream_tls_start(&c->relay.stream, set_of(c)->client, NULL, first, n) != PW_OK)
        client_close(c, NULL, "out of memory for TLS");
}

static bool answer(Client *c, const char *byte)
{
    if (stream_send(&c->relay.stream, byte, 1) && stream_pending(&c->relay.stream) == 0)
        return true;
    client_close(c, NULL, "client unexpected eof");
    return false;
}

void client_tls_request(Client *c, bool gss)
{
    PwBuf *held = &c->relay.held;
    if (pw_buf_unread(held) > 8) {
        const char *text = gss ? "received unencrypted data after GSSAPI encryption request"
                               : "received unencrypted data after SSL request";
        client_close(c, text, text);
        return;
    }
    /* each may be asked once, and none inside TLS: as PostgreSQL answers */
    if (c->relay.stream.tls || (gss ? c->login->gss_asked : c->login->ssl_asked)) {
        char text[80];
        snprintf(text, sizeof(text), "unsupported frontend protocol 1234.%d: server supports 3.0 to 3.0", gss ? 5680 : 5679);
        client_close(c, text, text);
        return;
    }
    pw_buf_consume(held, 8);
    if (gss)
        c->login->gss_asked = true;
    else
        c->login->ssl_asked = true;
    if (gss || !is_offered(c))
        (void)answer(c, "N");
    else if (answer(c, "S"))
        start(c, NULL, 0);
}

bool client_tls_is_direct(const Client *c)
{
    const PwBuf *held = &c->relay.held;
    return !c->relay.stream.tls && !c->login->ssl_asked && !c->login->gss_asked && pw_buf_unread(held) > 0 &&
           pw_buf_head(held)[0] == TLS_RECORD_HANDSHAKE;
}

void client_tls_direct(Client *c)
{
    PwBuf *held = &c->relay.held;
    if (!is_offered(c)) {
        client_close(c, NULL, "received direct SSL connection request without SSL support");
        return;
    }
    c->login->direct_tls = true;
    start(c, pw_buf_head(held), pw_buf_unread(held));
    if (c->state != CLIENT_CLOSED)
        pw_buf_consume(held, pw_buf_unread(held));
}

void client_tls_done(Client *c, bool ok)
{
    if (!ok) {
        const char *why = stream_tls_error(&c->relay.stream);
        if (why)
            client_log(c, PW_LOG_WARNING, "TLS handshake error: %s", why);
        client_close(c, NULL, why ? "TLS handshake failed" : "client unexpected eof");
        return;
    }
    bool resumed = stream_tls_is_resumed(&c->relay.stream);
    client_ctx(c)->tls_full += !resumed;
    client_ctx(c)->tls_resumed += resumed;
    client_log(c, PW_LOG_DEBUG, "SSL established: %s%s", stream_tls_text(&c->relay.stream), resumed ? ", resumed" : "");
    if (c->login->direct_tls && !stream_tls_has_alpn(&c->relay.stream))
        client_close(c, NULL, "received direct SSL connection request without ALPN protocol negotiation extension");
}

bool client_tls_is_missing(const Client *c)
{
    return set_of(c)->client_mode >= SSL_MODE_REQUIRE && !c->is_unix && !stream_tls_is_open(&c->relay.stream);
}

/* ---- client certificates ---- */

static bool is_name(void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

bool client_tls_cert_names(const Client *c, const char *name)
{
    return stream_tls_peer_names(&c->relay.stream, is_name, (void *)(uintptr_t)name);
}
