/* SPDX-License-Identifier: ISC */
#include "pooler/net/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pooler/net/tls_tickets.h"
#include "poolwise/buf.h"
#include "poolwise/mem.h"
#include "poolwise/refs.h"

/* A bundle of all public authorities has about 250 KB. */
#define FILE_MAX (16 * 1024 * 1024)
#define PRINT_LEN 32

struct TlsCtx {
    PwRefs refs;
    TlsRole role;
    bool checks_name;
    SSL_CTX *ssl;
    TlsTickets *tickets;      /* NULL: none are given */
    uint8_t print[PRINT_LEN]; /* SHA-256 of the settings and of the files' contents */
};

/* What one tls_ctx_create works on. */
typedef struct Maker {
    const TlsSpec *spec;
    SSL_CTX *ssl;
    EVP_MD_CTX *print;
    char *why;
} Maker;

static bool is_set(const char *text)
{
    return text && text[0];
}

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "unknown error";
}

static PwErr invalid(const Maker *m, const char *option, const char *value)
{
    snprintf(m->why, TLS_WHY, "TLS setup failed: invalid %s_%s: %.200s", m->spec->prefix, option, value);
    return PW_ERR_RANGE;
}

/* ---- files ---- */

/* The whole file, so that what is fingerprinted is what is used. The caller wipes and frees. */
static PwErr read_file(Maker *m, const char *option, const char *path, PwBuf *out)
{
    pw_buf_init(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    PwErr err = fd < 0 || fstat(fd, &st) != 0 ? PW_ERR_IO : PW_OK;
    if (!err && st.st_size > FILE_MAX) {
        errno = EFBIG;
        err = PW_ERR_IO;
    }
    while (!err) {
        pw_buf_reserve(out, 16384);
        ssize_t n = read(fd, out->data + out->len, 16384);
        if (n == 0)
            break;
        if (n > 0)
            out->len += (size_t)n;
        else if (errno != EINTR)
            err = PW_ERR_IO;
        if (out->len > FILE_MAX) {
            errno = EFBIG;
            err = PW_ERR_IO;
        }
    }
    if (err)
        snprintf(m->why, TLS_WHY, "TLS setup failed: cannot read %s_%s \"%.200s\": %s", m->spec->prefix, option, path,
                 strerror(errno));
    else
        EVP_DigestUpdate(m->print, out->data, out->len);
    if (fd >= 0)
        close(fd);
    return err;
}

static void forget_file(PwBuf *file)
{
    if (file->data)
        pw_wipe(file->data, file->cap);
    pw_buf_finish(file);
}

static PwErr bad_file(const Maker *m, const char *option, const char *path, const char *text)
{
    snprintf(m->why, TLS_WHY, "TLS setup failed: %s_%s \"%.200s\": %s", m->spec->prefix, option, path, text);
    return PW_ERR_SYNTAX;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* The first certificate is ours, the others lead up to the authority. */
static bool use_chain(SSL_CTX *ssl, BIO *pem)
{
    X509 *cert = PEM_read_bio_X509_AUX(pem, NULL, no_passphrase, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ssl, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(pem, NULL, no_passphrase, NULL)))
        if (SSL_CTX_add0_chain_cert(ssl, cert) != 1) {
            X509_free(cert);
            ok = false;
        }
    if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error(); /* the end of the file */
    return ok && ERR_peek_error() == 0;
}

static bool use_key(SSL_CTX *ssl, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, NULL);
    bool ok = key && SSL_CTX_use_PrivateKey(ssl, key) == 1;
    EVP_PKEY_free(key);
    return ok;
}

static bool use_authorities(SSL_CTX *ssl, BIO *pem, TlsRole role)
{
    STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(pem, NULL, no_passphrase, NULL);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    int found = 0;
    for (int i = 0; i < sk_X509_INFO_num(all); i++) {
        X509 *cert = sk_X509_INFO_value(all, i)->x509;
        if (cert && X509_STORE_add_cert(store, cert) == 1) {
            found++;
            if (role == TLS_ACCEPT)
                SSL_CTX_add_client_CA(ssl, cert); /* tells clients which of their certificates to send */
        }
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    return found > 0;
}

typedef enum Part { PART_CERT, PART_KEY, PART_CA } Part;

static PwErr use_file(Maker *m, Part part, const char *option, const char *path)
{
    PwBuf file;
    EVP_DigestUpdate(m->print, option, strlen(option) + 1);
    if (!is_set(path))
        return PW_OK;
    PwErr err = read_file(m, option, path, &file);
    if (!err) {
        ERR_clear_error();
        BIO *pem = BIO_new_mem_buf(file.data ? file.data : (const uint8_t *)"", (int)file.len);
        bool ok = false;
        switch (part) {
        case PART_CERT:
            ok = use_chain(m->ssl, pem);
            break;
        case PART_KEY:
            ok = use_key(m->ssl, pem);
            break;
        case PART_CA:
            ok = use_authorities(m->ssl, pem, m->spec->role);
            break;
        }
        if (!ok)
            err = bad_file(m, option, path, part == PART_CA && !ERR_peek_error() ? "no certificate in it" : reason());
        BIO_free(pem);
    }
    forget_file(&file);
    return err;
}

static PwErr use_files(Maker *m)
{
    const TlsSpec *spec = m->spec;
    if (is_set(spec->cert_file) != is_set(spec->key_file)) {
        snprintf(m->why, TLS_WHY, "TLS setup failed: %s_cert_file and %s_key_file must both be set, or none",
                 spec->prefix, spec->prefix);
        return PW_ERR_RANGE;
    }
    PwErr err = use_file(m, PART_CERT, "cert_file", spec->cert_file);
    if (!err)
        err = use_file(m, PART_KEY, "key_file", spec->key_file);
    if (!err && is_set(spec->key_file) && SSL_CTX_check_private_key(m->ssl) != 1)
        err = bad_file(m, "key_file", spec->key_file, "the key does not belong to the certificate");
    if (!err)
        err = use_file(m, PART_CA, "ca_file", spec->ca_file);
    bool needs_ca = spec->verify == TLS_VERIFY_CA || spec->verify == TLS_VERIFY_NAME;
    if (!err && needs_ca && !is_set(spec->ca_file) && SSL_CTX_set_default_verify_paths(m->ssl) != 1)
        err = bad_file(m, "ca_file", "", "no authorities of the system");
    return err;
}

/* ---- versions, ciphers, key exchange ---- */

#define V10 1u
#define V11 2u
#define V12 4u
#define V13 8u

static const struct {
    const char *name;
    unsigned versions;
} protocol_words[] = {
    {"tlsv1.0", V10}, {"tlsv1.1", V11}, {"tlsv1.2", V12},
    {"tlsv1.3", V13}, {"tlsv1", V10 | V11 | V12 | V13}, {"all", V10 | V11 | V12 | V13},
    {"legacy", V10 | V11 | V12 | V13}, {"secure", V12 | V13}, {"default", V12 | V13},
};

static unsigned read_protocols(const char *text)
{
    unsigned chosen = 0;
    while (*text) {
        text += strspn(text, ",: ");
        size_t n = strcspn(text, ",: ");
        bool take_away = n > 0 && text[0] == '!';
        const char *word = text + take_away;
        size_t len = n - take_away;
        unsigned found = 0;
        for (size_t i = 0; i < PW_ARRAY_LEN(protocol_words); i++)
            if (strlen(protocol_words[i].name) == len && strncasecmp(protocol_words[i].name, word, len) == 0)
                found = protocol_words[i].versions;
        if (n > 0 && !found)
            return 0;
        if (take_away)
            chosen = (chosen ? chosen : V10 | V11 | V12 | V13) & ~found;
        else
            chosen |= found;
        text += n;
    }
    return chosen;
}

static PwErr use_protocols(Maker *m)
{
    static const uint64_t off[] = {SSL_OP_NO_TLSv1, SSL_OP_NO_TLSv1_1, SSL_OP_NO_TLSv1_2, SSL_OP_NO_TLSv1_3};
    const char *text = is_set(m->spec->protocols) ? m->spec->protocols : "secure";
    unsigned chosen = read_protocols(text);
    if (!chosen)
        return invalid(m, "protocols", text);
    /* the system-wide minimum of openssl.cnf yields to what is asked for here */
    SSL_CTX_set_min_proto_version(m->ssl, TLS1_VERSION);
    for (unsigned i = 0; i < PW_ARRAY_LEN(off); i++)
        if (!(chosen & (1u << i)))
            SSL_CTX_set_options(m->ssl, off[i]);
    return PW_OK;
}

static const struct {
    const char *word, *list;
} cipher_words[] = {
    /* forward secrecy and authenticated encryption only */
    {"default", "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!DSS:!PSK"},
    {"secure", "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!DSS:!PSK"},
    /* CBC and plain RSA too, behind the others */
    {"normal", "HIGH+ECDHE:HIGH+DHE:HIGH+kRSA:+SHA384:+SHA256:+SHA1:!3DES:!CAMELLIA:!ARIA:!DSS:!PSK:!aNULL"},
    /* the same, with 128 bits before 256 */
    {"fast", "ECDHE+AES128+AESGCM:HIGH+ECDHE:HIGH+DHE:HIGH+kRSA:+AES256:+SHA256:+SHA384:+SHA1:!3DES:!CAMELLIA:!ARIA:!DSS:!PSK:!aNULL"},
    {"legacy", "HIGH:!aNULL"},
    {"compat", "HIGH:!aNULL"},
    {"all", "ALL:!aNULL:!eNULL"},
    {"insecure", "ALL:!aNULL:!eNULL"},
};

static PwErr use_ciphers(Maker *m)
{
    const TlsSpec *spec = m->spec;
    const char *text = is_set(spec->ciphers) ? spec->ciphers : "default", *list = text;
    for (size_t i = 0; i < PW_ARRAY_LEN(cipher_words); i++)
        if (strcasecmp(cipher_words[i].word, text) == 0)
            list = cipher_words[i].list;
    bool no_curve = is_set(spec->ecdhcurve) && strcasecmp(spec->ecdhcurve, "none") == 0;
    char *all = pw_xmalloc(strlen(list) + 16);
    sprintf(all, "%s%s", list, no_curve ? ":!kECDHE" : "");
    bool ok = SSL_CTX_set_cipher_list(m->ssl, all) == 1;
    free(all);
    if (!ok)
        return invalid(m, "ciphers", text);
    if (is_set(spec->tls13_ciphers) && SSL_CTX_set_ciphersuites(m->ssl, spec->tls13_ciphers) != 1) {
        snprintf(m->why, TLS_WHY, "TLS setup failed: failed to set the TLSv1.3 cipher suites: %.200s", spec->tls13_ciphers);
        return PW_ERR_RANGE;
    }
    return PW_OK;
}

static PwErr use_key_exchange(Maker *m)
{
    const char *dhe = is_set(m->spec->dheparams) ? m->spec->dheparams : "auto";
    const char *curve = is_set(m->spec->ecdhcurve) ? m->spec->ecdhcurve : "auto";
    int automatic;
    if (strcasecmp(dhe, "auto") == 0)
        automatic = 1; /* by the strength of the certificate's key, at least 2048 bits */
    else if (strcasecmp(dhe, "legacy") == 0)
        automatic = 2; /* 1024 bits */
    else if (strcasecmp(dhe, "none") == 0)
        automatic = 0;
    else
        return invalid(m, "dheparams", dhe);
    SSL_CTX_set_dh_auto(m->ssl, automatic);
    if (strcasecmp(curve, "auto") != 0 && strcasecmp(curve, "none") != 0 && SSL_CTX_set1_groups_list(m->ssl, curve) != 1)
        return invalid(m, "ecdhcurve", curve);
    return PW_OK;
}

/* ---- the rest ---- */

/* ALPN: who offers protocols at all must offer ours (PostgreSQL's documentation, "SSL Session Encryption"). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
                       void *arg)
{
    static const unsigned char ours[] = "\x0apostgresql";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void use_modes(Maker *m)
{
    const TlsSpec *spec = m->spec;
    SSL_CTX *ssl = m->ssl;
    /* No session cache: tickets (use_tickets) need none. PostgreSQL offers neither, so there is nothing to keep of its sessions. */
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1); /* a record's header and body by one recv */
    int verify = SSL_VERIFY_NONE;
    switch (spec->verify) {
    case TLS_VERIFY_NONE:
        break;
    case TLS_VERIFY_IF_GIVEN:
        verify = is_set(spec->ca_file) ? SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE : SSL_VERIFY_NONE;
        break;
    case TLS_VERIFY_CA:
    case TLS_VERIFY_NAME:
        verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        break;
    }
    SSL_CTX_set_verify(ssl, verify, NULL);
    if (spec->role == TLS_ACCEPT)
        SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
}

/* Session tickets, where no certificate of the client's is asked for: a resumed session would bring its old certificate along, past an
 * expiry, and a client that has got one since would not be asked for it. The id context says which settings a session began
 * under: OpenSSL takes it for no others, whoever sealed the ticket. No early data: it could be replayed. */
static PwErr use_tickets(const Maker *m, TlsCtx *ctx)
{
    if (!m->spec->tickets || m->spec->role != TLS_ACCEPT || SSL_CTX_get_verify_mode(m->ssl) != SSL_VERIFY_NONE)
        return PW_OK;
    ctx->tickets = tls_tickets_create();
    if (!ctx->tickets || SSL_CTX_set_session_id_context(m->ssl, ctx->print, PRINT_LEN) != 1) {
        snprintf(m->why, TLS_WHY, "TLS setup failed: no keys for session tickets");
        return PW_ERR_NOMEM;
    }
    SSL_CTX_set_max_early_data(m->ssl, 0);
    tls_tickets_install(ctx->tickets, m->ssl);
    return PW_OK;
}

static void print_settings(Maker *m)
{
    const TlsSpec *s = m->spec;
    char head[32];
    const char *texts[] = {s->ca_file, s->cert_file, s->key_file, s->protocols, s->ciphers, s->tls13_ciphers, s->dheparams,
                           s->ecdhcurve};
    int n = snprintf(head, sizeof(head), "%d %d %d", (int)s->role, (int)s->verify, s->tickets);
    EVP_DigestUpdate(m->print, head, (size_t)n + 1);
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++)
        EVP_DigestUpdate(m->print, texts[i] ? texts[i] : "", (texts[i] ? strlen(texts[i]) : 0) + 1);
}

PwErr tls_ctx_create(const TlsSpec *spec, TlsCtx **ret_ctx, char *why)
{
    Maker m = {.spec = spec, .ssl = SSL_CTX_new(spec->role == TLS_ACCEPT ? TLS_server_method() : TLS_client_method()),
               .print = EVP_MD_CTX_new(), .why = why};
    PwErr err = PW_OK;
    if (!m.ssl || !m.print || EVP_DigestInit_ex(m.print, EVP_sha256(), NULL) != 1) {
        snprintf(why, TLS_WHY, "TLS setup failed: %s", reason());
        err = PW_ERR_NOMEM;
    }
    if (!err) {
        print_settings(&m);
        use_modes(&m);
        err = use_protocols(&m);
    }
    if (!err)
        err = use_ciphers(&m);
    if (!err)
        err = use_key_exchange(&m);
    if (!err)
        err = use_files(&m);
    if (!err) {
        TlsCtx *ctx = pw_xcalloc(1, sizeof(*ctx));
        pw_refs_init(&ctx->refs);
        ctx->role = spec->role;
        ctx->checks_name = spec->verify == TLS_VERIFY_NAME;
        ctx->ssl = m.ssl;
        EVP_DigestFinal_ex(m.print, ctx->print, NULL);
        err = use_tickets(&m, ctx);
        if (err)
            tls_ctx_unref(ctx);
        else
            *ret_ctx = ctx;
    } else {
        SSL_CTX_free(m.ssl);
    }
    EVP_MD_CTX_free(m.print);
    ERR_clear_error();
    return err;
}

bool tls_ctx_is_outdated(const TlsCtx *ctx, char *ret_text)
{
    const X509 *cert = SSL_CTX_get0_certificate(ctx->ssl);
    if (!cert)
        return false;
    const ASN1_TIME *begin = X509_get0_notBefore(cert), *end = X509_get0_notAfter(cert);
    bool early = X509_cmp_current_time(begin) > 0;
    struct tm at;
    if ((!early && X509_cmp_current_time(end) >= 0) || ASN1_TIME_to_tm(early ? begin : end, &at) != 1)
        return false;
    (void)strftime(ret_text, TLS_WHY, early ? "is not valid before %Y-%m-%d %H:%M:%S UTC" : "expired on %Y-%m-%d at %H:%M:%S UTC", &at);
    return true;
}

TlsCtx *tls_ctx_ref(TlsCtx *ctx)
{
    if (ctx)
        pw_refs_take(&ctx->refs);
    return ctx;
}

void tls_ctx_unref(TlsCtx *ctx)
{
    if (!ctx || !pw_refs_drop(&ctx->refs))
        return;
    SSL_CTX_free(ctx->ssl);
    tls_tickets_destroy(ctx->tickets);
    free(ctx);
}

bool tls_ctx_equal(const TlsCtx *a, const TlsCtx *b)
{
    if (!a || !b)
        return a == b;
    return memcmp(a->print, b->print, PRINT_LEN) == 0;
}

TlsRole tls_ctx_role(const TlsCtx *ctx)
{
    return ctx->role;
}

bool tls_ctx_checks_name(const TlsCtx *ctx)
{
    return ctx->checks_name;
}

SSL_CTX *tls_ctx_ssl(TlsCtx *ctx)
{
    return ctx->ssl;
}
