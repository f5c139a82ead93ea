/* SPDX-License-Identifier: ISC */
/* server_tls.c - SSLRequest and handshake, between the connect and the start-up packet.
 *
 * CONNECT --SSLRequest--> TLS --'S'--> handshake --> start-up packet, LOGIN
 *                          \---'N'--> start-up packet, LOGIN (sslmode allow and prefer only)
 *
 * The answer is read as one byte: whatever an attacker puts behind it reaches the TLS library, never the login. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pooler/net/stream_tls.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

void server_build_ssl_request(PwBuf *out)
{
    pw_buf_append_be32(out, 8);
    pw_buf_append_be32(out, PW_CODE_SSL);
}

void server_build_first(Server *s, PwBuf *out)
{
    const TlsSet *tls = worker_ctx(server_local(s)->worker)->tls;
    s->tls_asked = tls->server != NULL && !net_addr_is_unix(&s->addr);
    if (!s->tls_asked) {
        server_build_startup(s, out);
        return;
    }
    s->tls = tls_set_ref(tls);
    server_build_ssl_request(out);
}

static void send_startup(Server *s)
{
    PwBuf out;
    pw_buf_init(&out);
    server_build_startup(s, &out);
    s->phase = SERVER_LOGIN;
    bool ok = stream_send_buf(&s->stream, &out);
    pw_buf_finish(&out);
    if (!ok)
        server_connect_failed(s, "server closed the connection");
}

static void start_handshake(Server *s)
{
    if (stream_tls_start(&s->stream, s->tls->server, s->host, NULL, 0) != PW_OK)
        server_connect_failed(s, "out of memory for TLS");
}

static void on_refused(Server *s)
{
    if (s->tls->server_mode >= SSL_MODE_REQUIRE)
        server_connect_failed(s, "server refused SSL");
    else
        send_startup(s);
}

void server_tls_input(Server *s)
{
    uint8_t answer;
    ssize_t got = stream_recv(&s->stream, &answer, 1);
    if (got == -1)
        return;
    if (got <= 0)
        server_connect_failed(s, got == 0 ? "server closed the connection" : strerror(errno));
    else if (answer == 'S')
        start_handshake(s);
    else if (answer == 'N')
        on_refused(s);
    else
        server_connect_failed(s, "server sent an unknown answer to SSLRequest");
}

void server_tls_done(Server *s, bool ok)
{
    if (!ok) {
        char text[300];
        const char *why = stream_tls_error(&s->stream);
        snprintf(text, sizeof(text), "TLS handshake error: %s", why ? why : "server closed the connection");
        server_connect_failed(s, text);
        return;
    }
    if (worker_ctx(s->stream.worker)->config->log_connections)
        server_log(s, PW_LOG_LOG, "SSL established: %s", stream_tls_text(&s->stream));
    send_startup(s);
}
