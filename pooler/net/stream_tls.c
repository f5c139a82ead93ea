/* SPDX-License-Identifier: ISC */
/* stream_tls.c
 *
 *   socket --recv--> BIO --> OpenSSL: read-ahead buffer --> decrypted record --SSL_read--> caller's buffer
 *                     ^ `first`: bytes read before TLS began
 *
 * The socket's event says nothing about what OpenSSL already holds. So each stream_tls_recv reads until nothing is held and
 * the socket gave less than it was asked for, or the buffer is full; only in the second case `more` is set
 * and the read event is made active again. Each call reads the socket at most READS times, and not at all when it
 * was called for `more`: a fast sender cannot keep the loop at one connection. */
#include "pooler/net/stream_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/net/sys.h"
#include "poolwise/mem.h"

#define READS 8            /* of up to 16 KiB each; the caller's buffer is the other limit */
#define RECV_MOST (64 * 1024) /* bytes decrypted in one call: more at once saves TLS nothing, and others wait */
#define HANDSHAKE_READS 32 /* certificates and all; the rest waits for the next event */

struct StreamTls {
    SSL *ssl;
    TlsCtx *ctx;
    char *host; /* to be named by the peer's certificate; NULL: whoever */
    uint8_t *first;
    size_t first_off, first_len;
    int reads;               /* recv calls left in this turn */
    bool open;               /* the handshake is done */
    bool failed;             /* nothing can be read or written any more */
    bool eof;                /* the socket ended */
    bool flowing;            /* the last recv gave all that was asked for: there may be more */
    bool more;               /* input is held inside */
    bool read_wants_write;   /* a read goes on when the socket is writable: a key update is being answered */
    bool write_wants_read;
    const char *reason;      /* OpenSSL's word for what failed, its storage */
    char *error;             /* what the log says of it; NULL: nothing failed, or the peer just went away */
};

#define TLS_TEXT 64
#define TLS_ERROR 200

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *buf, int n)
{
    Stream *s = BIO_get_data(bio);
    StreamTls *t = s->tls;
    BIO_clear_retry_flags(bio);
    if (t->first_off < t->first_len) {
        size_t k = t->first_len - t->first_off;
        if (k > (size_t)n)
            k = (size_t)n;
        memcpy(buf, t->first + t->first_off, k);
        t->first_off += k;
        if (t->first_off == t->first_len) {
            free(t->first);
            t->first = NULL;
        }
        return (int)k;
    }
    if (t->reads == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    t->reads--;
    ssize_t got;
    do
        got = sys_recv(s->fd, buf, (size_t)n);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    t->eof = t->eof || got == 0;
    t->flowing = got == n;
    return (int)got;
}

/* The session ticket of TLS 1.3 follows the handshake. By then the client waits for our answer to its start-up packet, with which it goes out:
 * alone it would wake the client for nothing, and be in the way of one that sends a cancel request and is gone. */
static int flags_of(const StreamTls *t)
{
    return t->open || SSL_get_state(t->ssl) != TLS_ST_SW_SESSION_TICKET ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_MORE;
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    Stream *s = BIO_get_data(bio);
    int flags = flags_of(s->tls);
    BIO_clear_retry_flags(bio);
    ssize_t sent;
    do
        sent = sys_send_with(s->fd, buf, (size_t)n, flags);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long bio_ctrl(BIO *bio, int what, long larg, void *parg)
{
    (void)larg;
    (void)parg;
    const Stream *s = BIO_get_data(bio);
    switch (what) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return s->tls->eof;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!bio_method || !BIO_meth_set_read(bio_method, bio_read) || !BIO_meth_set_write(bio_method, bio_write) ||
        !BIO_meth_set_ctrl(bio_method, bio_ctrl))
        abort(); /* out of memory at the first use */
}

/* ---- errors ---- */

/* Notes why an operation failed for good. */
static void note_error(StreamTls *t)
{
    unsigned long code = ERR_peek_error();
    long verify = SSL_get_verify_result(t->ssl);
    const char *text = ERR_reason_error_string(code);
    t->failed = true;
    if (!t->reason)
        t->reason = text;
    if (t->error || (t->eof && !code))
        return;
    char error[TLS_ERROR] = "";
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
        snprintf(error, sizeof(error), "%s: %s", text ? text : "certificate verify failed", X509_verify_cert_error_string(verify));
    else if (text)
        snprintf(error, sizeof(error), "%s", text);
    else if (errno != ECONNRESET && errno != EPIPE && errno != 0)
        snprintf(error, sizeof(error), "%s", strerror(errno));
    if (error[0])
        t->error = pw_xstrdup(error);
}

const char *stream_tls_error(const Stream *s)
{
    return s->tls ? s->tls->error : NULL;
}

const char *stream_tls_reason(const Stream *s)
{
    return s->tls->reason;
}

/* ---- life ---- */

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
    ASN1_OCTET_STRING_free(ip);
    return ip != NULL;
}

static void activate(Stream *s)
{
    s->tls->more = true;
    if (s->reading)
        event_active(&s->read_event, EV_READ, 0);
}

PwErr stream_tls_start(Stream *s, TlsCtx *ctx, const char *host, const uint8_t *first, size_t n_first)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    assert(!s->tls && stream_pending(s) == 0);
    SSL *ssl = SSL_new(tls_ctx_ssl(ctx));
    BIO *bio = BIO_new(bio_method);
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return PW_ERR_NOMEM;
    }
    StreamTls *t = pw_xcalloc(1, sizeof(*t));
    t->ssl = ssl;
    t->ctx = tls_ctx_ref(ctx);
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (n_first) {
        t->first = pw_xmalloc(n_first);
        memcpy(t->first, first, n_first);
        t->first_len = n_first;
    }
    s->tls = t;
    if (tls_ctx_role(ctx) == TLS_CONNECT) {
        SSL_set_connect_state(ssl);
        if (host && !is_address(host))
            SSL_set_tlsext_host_name(ssl, host);
        if (host && tls_ctx_checks_name(ctx))
            t->host = pw_xstrdup(host);
        stream_watch_writable(s, true); /* our side speaks first: from the loop, so that on_tls never comes out of this call */
    } else {
        SSL_set_accept_state(ssl);
    }
    stream_read_start(s);
    if (n_first) {
        stream_read_arm(s); /* after stream_read_later: libevent adds no event that is active already */
        activate(s);
    }
    return PW_OK;
}

void stream_tls_free(Stream *s)
{
    StreamTls *t = s->tls;
    if (!t)
        return;
    SSL_free(t->ssl);
    tls_ctx_unref(t->ctx);
    free(t->host);
    free(t->first);
    free(t->error);
    free(t);
    s->tls = NULL;
}

void stream_tls_say_end(Stream *s)
{
    StreamTls *t = s->tls;
    /* behind a record that is half sent nothing else may follow */
    if (!t->open || t->failed || stream_pending(s) > 0)
        return;
    ERR_clear_error();
    t->reads = 0;
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* ---- the handshake ---- */

/* A host that is an address must be among the addresses of the certificate; a certificate without alternative names at all may
 * give it as its common name, as libpq and PgBouncer accept. */
static bool names_host(SSL *ssl, const char *host)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (!cert)
        return false;
    if (!is_address(host))
        return X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
    if (X509_check_ip_asc(cert, host, 0) == 1)
        return true;
    if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) >= 0)
        return false;
    return X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}

static void opened(Stream *s)
{
    StreamTls *t = s->tls;
    if (t->host && !names_host(t->ssl, t->host)) {
        char error[TLS_ERROR];
        t->failed = true;
        snprintf(error, sizeof(error), "certificate verify failed: the server's certificate does not name host \"%.100s\"", t->host);
        t->error = pw_xstrdup(error);
        s->ops->on_tls(s, false);
        return;
    }
    t->open = true;
    if (t->first_off < t->first_len || SSL_has_pending(t->ssl))
        activate(s); /* the first request came along with the end of the handshake */
    s->ops->on_tls(s, true);
}

static void handshake(Stream *s)
{
    StreamTls *t = s->tls;
    if (t->failed)
        return;
    t->reads = HANDSHAKE_READS;
    t->more = false;
    ERR_clear_error();
    errno = 0;
    int done = SSL_do_handshake(t->ssl);
    if (done == 1) {
        stream_watch_writable(s, false);
        opened(s);
        return;
    }
    switch (SSL_get_error(t->ssl, done)) {
    case SSL_ERROR_WANT_READ:
        stream_watch_writable(s, false);
        return;
    case SSL_ERROR_WANT_WRITE:
        stream_watch_writable(s, true);
        return;
    default:
        stream_watch_writable(s, false);
        note_error(t);
        ERR_clear_error();
        s->ops->on_tls(s, false);
    }
}

bool stream_tls_on_event(Stream *s, bool writable)
{
    StreamTls *t = s->tls;
    if (!t->open) {
        handshake(s);
        return true;
    }
    if (writable && t->read_wants_write) {
        activate(s);
        if (stream_pending(s) == 0) {
            stream_watch_writable(s, false);
            return true;
        }
    }
    if (!writable && t->write_wants_read && stream_pending(s) > 0)
        stream_watch_writable(s, true);
    return false;
}

/* ---- data ---- */

/* SSL_read_ex found nothing: what of it the caller has to know. */
static ssize_t read_stopped(Stream *s, size_t total)
{
    StreamTls *t = s->tls;
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return total ? (ssize_t)total : -1;
    case SSL_ERROR_WANT_WRITE:
        t->read_wants_write = true;
        stream_watch_writable(s, true);
        return total ? (ssize_t)total : -1;
    case SSL_ERROR_ZERO_RETURN:
        t->failed = true;
        t->eof = true;
        break;
    default:
        note_error(t);
        ERR_clear_error();
    }
    if (total) {
        activate(s); /* the end is told by the next call */
        return (ssize_t)total;
    }
    errno = EPROTO;
    return t->error ? -2 : 0;
}

ssize_t stream_tls_recv(Stream *s, void *buf, size_t n)
{
    StreamTls *t = s->tls;
    uint8_t *p = buf;
    size_t total = 0;
    if (t->failed || !t->open) {
        errno = EPROTO;
        return !t->failed ? -1 : t->error ? -2 : 0;
    }
    if (n > RECV_MOST)
        n = RECV_MOST;
    t->reads = t->more ? 0 : READS;
    t->more = t->read_wants_write = false;
    while (total < n) {
        size_t got;
        ERR_clear_error();
        errno = 0;
        if (SSL_read_ex(t->ssl, p + total, n - total, &got) != 1) {
            ssize_t result = read_stopped(s, total);
            s->bytes_in += total;
            return result;
        }
        total += got;
        if (!SSL_has_pending(t->ssl) && !t->flowing)
            break;
    }
    s->bytes_in += total;
    if (t->first_off < t->first_len || SSL_has_pending(t->ssl))
        activate(s);
    return (ssize_t)total;
}

ssize_t stream_tls_send(Stream *s, const void *bytes, size_t n)
{
    StreamTls *t = s->tls;
    size_t sent;
    if (t->failed || !t->open)
        return -2;
    t->reads = 0;
    t->write_wants_read = false;
    ERR_clear_error();
    errno = 0;
    if (SSL_write_ex(t->ssl, bytes, n, &sent) == 1)
        return (ssize_t)sent;
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_WANT_READ:
        t->write_wants_read = true;
        stream_watch_writable(s, false);
        return -1;
    default:
        note_error(t);
        ERR_clear_error();
        return -2;
    }
}

void stream_tls_wake(Stream *s)
{
    if (s->tls->more)
        event_active(&s->read_event, EV_READ, 0);
}

bool stream_tls_buffered(const Stream *s)
{
    const StreamTls *t = s->tls;
    return t->more || t->read_wants_write || SSL_pending(t->ssl) > 0;
}

bool stream_tls_has_input(Stream *s)
{
    StreamTls *t = s->tls;
    char byte;
    size_t got;
    if (t->more || t->failed)
        return true;
    t->reads = READS;
    ERR_clear_error();
    errno = 0;
    if (SSL_peek_ex(t->ssl, &byte, 1, &got) == 1)
        return true;
    int why = SSL_get_error(t->ssl, 0);
    ERR_clear_error();
    return why != SSL_ERROR_WANT_READ;
}

/* ---- facts ---- */

bool stream_tls_is_open(const Stream *s)
{
    return s->tls && s->tls->open;
}

const char *stream_tls_text(const Stream *s)
{
    static _Thread_local char text[TLS_TEXT];
    if (!stream_tls_is_open(s))
        return "";
    snprintf(text, sizeof(text), "%s/%s", SSL_get_version(s->tls->ssl), SSL_get_cipher_name(s->tls->ssl));
    return text;
}

bool stream_tls_is_resumed(const Stream *s)
{
    return s->tls && SSL_session_reused(s->tls->ssl) == 1;
}

bool stream_tls_has_alpn(const Stream *s)
{
    const unsigned char *name = NULL;
    unsigned n = 0;
    if (s->tls)
        SSL_get0_alpn_selected(s->tls->ssl, &name, &n);
    return n > 0;
}

bool stream_tls_peer_has_cert(const Stream *s)
{
    return s->tls && SSL_get0_peer_certificate(s->tls->ssl) != NULL;
}

/* A name with a NUL in it is an attack on those who compare C strings. */
static bool offer_name(const ASN1_STRING *name, bool (*match)(void *arg, const char *name), void *arg)
{
    unsigned char *utf8 = NULL;
    int n = name ? ASN1_STRING_to_UTF8(&utf8, name) : -1;
    bool found = n > 0 && strlen((const char *)utf8) == (size_t)n && match(arg, (const char *)utf8);
    OPENSSL_free(utf8);
    return found;
}

bool stream_tls_peer_names(const Stream *s, bool (*match)(void *arg, const char *name), void *arg)
{
    X509 *cert = s->tls ? SSL_get0_peer_certificate(s->tls->ssl) : NULL;
    if (!cert)
        return false;
    bool found = false;
    const X509_NAME *subject = X509_get_subject_name(cert);
    for (int i = -1; !found && (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;)
        found = offer_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), match, arg);
    GENERAL_NAMES *others = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(others); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(others, i), &type);
        if (type == GEN_DNS || type == GEN_EMAIL)
            found = offer_name(value, match, arg);
    }
    GENERAL_NAMES_free(others);
    return found;
}

size_t stream_tls_endpoint_hash(const Stream *s, uint8_t hash[STREAM_TLS_HASH_MAX])
{
    if (!stream_tls_is_open(s))
        return 0;
    SSL *ssl = s->tls->ssl;
    const X509 *cert = tls_ctx_role(s->tls->ctx) == TLS_ACCEPT ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int nid = NID_undef;
    if (!cert || X509_get_signature_info((X509 *)(uintptr_t)cert, &nid, NULL, NULL, NULL) != 1)
        return 0;
    if (nid == NID_md5 || nid == NID_sha1) /* RFC 5929, section 4.1 */
        nid = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(nid);
    unsigned n = 0;
    if (!md || EVP_MD_get_size(md) > STREAM_TLS_HASH_MAX || X509_digest(cert, md, hash, &n) != 1)
        return 0;
    return n;
}
