/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/stream.h"
#include "pooler/net/stream_tls.h"
#include "poolwise/mem.h"

/* ---- a certificate ---- */

static char dir[] = "/tmp/pw-stream-XXXXXX", cert_path[64], key_path[64];

static int make_cert(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(cert_path, sizeof(cert_path), "%s/crt", dir);
    snprintf(key_path, sizeof(key_path), "%s/key", dir);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"alice", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:db.example,email:alice@example.com,IP:127.0.0.1");
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(cert, key, EVP_sha256());
    FILE *f = fopen(cert_path, "w");
    PEM_write_X509(f, cert);
    fclose(f);
    f = fopen(key_path, "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
    return workers_create(1) == PW_OK ? 0 : -1;
}

static int remove_cert(void **state)
{
    (void)state;
    workers_destroy();
    unlink(cert_path);
    unlink(key_path);
    return rmdir(dir);
}

/* ---- two streams over a socketpair ---- */

typedef struct Side {
    Stream s; /* first */
    int tls;  /* -1 not yet, else on_tls's answer */
    PwBuf got;
    bool ended, stop_reading;
    int calls;
} Side;

static void on_readable(Stream *s)
{
    Side *side = (Side *)s;
    uint8_t buf[5000];
    ssize_t n = stream_recv(s, buf, sizeof(buf));
    side->calls++;
    if (n > 0)
        pw_buf_append(&side->got, buf, (size_t)n);
    side->ended = side->ended || n == 0 || n == -2;
    if (side->ended || side->stop_reading)
        stream_read_stop(s);
}

static void on_drained(Stream *s)
{
    (void)s;
}

static void on_write_error(Stream *s)
{
    ((Side *)s)->ended = true;
}

static void on_tls(Stream *s, bool ok)
{
    ((Side *)s)->tls = ok;
    if (!ok)
        stream_read_stop(s);
}

static const StreamOps ops = {on_readable, on_drained, on_write_error, on_tls};

typedef struct Pair {
    Side client, server;
    TlsCtx *accept_ctx, *connect_ctx;
} Pair;

static void turn(void)
{
    event_base_loop(worker_get(0)->base, EVLOOP_NONBLOCK);
}

static TlsCtx *context(TlsRole role, TlsVerify verify, const char *protocols)
{
    char why[TLS_WHY];
    TlsCtx *ctx = NULL;
    TlsSpec spec = {.role = role, .verify = verify, .prefix = "test_tls", .protocols = protocols};
    if (role == TLS_ACCEPT || verify == TLS_VERIFY_IF_GIVEN) {
        spec.cert_file = cert_path;
        spec.key_file = key_path;
    }
    if (verify != TLS_VERIFY_NONE)
        spec.ca_file = cert_path;
    if (tls_ctx_create(&spec, &ctx, why) != PW_OK)
        fail_msg("%s", why);
    return ctx;
}

static void open_pair(Pair *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    memset(p, 0, sizeof(*p));
    p->client.tls = p->server.tls = -1;
    stream_open(&p->client.s, worker_get(0), fds[0], &ops);
    stream_open(&p->server.s, worker_get(0), fds[1], &ops);
}

static void shake(Pair *p, TlsCtx *accept_ctx, TlsCtx *connect_ctx, const char *host)
{
    p->accept_ctx = accept_ctx;
    p->connect_ctx = connect_ctx;
    assert_int_equal(stream_tls_start(&p->server.s, accept_ctx, NULL, NULL, 0), PW_OK);
    assert_int_equal(stream_tls_start(&p->client.s, connect_ctx, host, NULL, 0), PW_OK);
    for (int i = 0; i < 50 && (p->client.tls < 0 || p->server.tls < 0); i++)
        turn();
}

static void close_pair(Pair *p)
{
    stream_close(&p->client.s);
    stream_close(&p->server.s);
    pw_buf_finish(&p->client.got);
    pw_buf_finish(&p->server.got);
    tls_ctx_unref(p->accept_ctx);
    tls_ctx_unref(p->connect_ctx);
}

static void test_plain(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    stream_read_start(&p.server.s);
    assert_true(stream_send(&p.client.s, "hello", 5));
    assert_true(stream_has_input(&p.server.s));
    assert_false(stream_input_held(&p.server.s));
    turn();
    assert_int_equal(pw_buf_unread(&p.server.got), 5);
    assert_string_equal(stream_tls_text(&p.client.s), "");
    stream_end_output(&p.client.s);
    turn();
    assert_true(p.server.ended);
    close_pair(&p);
}

/* ---- sends put off to the end of the turn ---- */

/* False: no io_uring here, nothing to test. */
static bool open_batching_pair(Pair *p)
{
    char why[200];
    if (stream_batch_sends(why, sizeof(why)) != PW_OK) {
        print_message("no io_uring here: %s\n", why);
        return false;
    }
    open_pair(p);
    return true;
}

static void close_batching_pair(Pair *p)
{
    close_pair(p);
    send_batch_destroy(worker_get(0)->batch);
    worker_get(0)->batch = NULL;
}

static void assert_got(Pair *p, const char *text)
{
    turn();
    assert_int_equal(pw_buf_unread(&p->server.got), strlen(text));
    assert_memory_equal(pw_buf_head(&p->server.got), text, strlen(text));
}

static void test_sends_put_off_keep_their_order(void **state)
{
    (void)state;
    Pair p;
    if (!open_batching_pair(&p))
        return;
    stream_read_start(&p.server.s);
    assert_true(stream_send_soon(&p.client.s, "1", 1));
    assert_true(stream_send_soon(&p.client.s, "2", 1));
    assert_int_equal(stream_pending(&p.client.s), 2);
    assert_int_equal(p.client.s.bytes_out, 0);
    assert_false(stream_has_input(&p.server.s));
    assert_true(stream_send_soon(&p.server.s, "x", 1)); /* in between: the entry can grow no more */
    assert_true(stream_send_soon(&p.client.s, "3", 1));
    assert_int_equal(stream_pending(&p.client.s), 0);
    assert_int_equal(p.client.s.bytes_out, 3);
    assert_got(&p, "123");
    assert_true(stream_send_soon(&p.client.s, "4", 1));
    assert_true(stream_send(&p.client.s, "5", 1)); /* now, and behind what was put off */
    assert_got(&p, "12345");
    assert_true(stream_send_soon(&p.client.s, "6", 1));
    send_batch_flush(worker_get(0)->batch);
    assert_int_equal(p.client.s.bytes_out, 6);
    assert_got(&p, "123456");
    assert_true(stream_send_soon(&p.client.s, "7", 1));
    stream_end_output(&p.client.s);
    assert_got(&p, "1234567");
    turn();
    assert_true(p.server.ended);
    close_batching_pair(&p);
}

static void test_what_was_put_off_goes_before_the_socket_closes(void **state)
{
    (void)state;
    Pair p;
    if (!open_batching_pair(&p))
        return;
    stream_read_start(&p.server.s);
    assert_true(stream_send_soon(&p.client.s, "last words", 10));
    stream_close(&p.client.s);
    assert_int_equal(p.client.s.fd, -1);
    send_batch_flush(worker_get(0)->batch); /* of a closed stream nothing is left in it */
    assert_got(&p, "last words");
    close_batching_pair(&p);
}

static void test_what_the_kernel_refuses_at_the_end_of_the_turn_waits(void **state)
{
    (void)state;
    Pair p;
    if (!open_batching_pair(&p))
        return;
    size_t junk = 0;
    ssize_t n;
    static const char zeros[4096];
    while ((n = send(p.client.s.fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
        junk += (size_t)n;
    assert_true(stream_send_soon(&p.client.s, "waits", 5));
    assert_true(stream_send_soon(&p.server.s, "x", 1));
    send_batch_flush(worker_get(0)->batch);
    assert_int_equal(stream_pending(&p.client.s), 5);
    assert_true(p.client.s.write_event);
    assert_true(stream_send_soon(&p.client.s, "!", 1)); /* behind it */
    stream_read_start(&p.server.s);
    for (int i = 0; i < 500 && pw_buf_unread(&p.server.got) < junk + 6; i++)
        turn();
    assert_int_equal(pw_buf_unread(&p.server.got), junk + 6);
    assert_memory_equal(pw_buf_head(&p.server.got) + junk, "waits!", 6);
    assert_int_equal(stream_pending(&p.client.s), 0);
    close_batching_pair(&p);
}

static void test_a_peer_that_is_gone_shows_in_the_loop(void **state)
{
    (void)state;
    Pair p;
    if (!open_batching_pair(&p))
        return;
    assert_true(stream_send_soon(&p.client.s, "who is there", 12));
    assert_true(stream_send_soon(&p.server.s, "x", 1));
    stream_close(&p.server.s);
    send_batch_flush(worker_get(0)->batch);
    turn();
    assert_true(p.client.ended);
    close_batching_pair(&p);
}

static void each_version(const char *protocols, const char *version)
{
    Pair p;
    uint8_t *big = pw_xmalloc(300000);
    for (size_t i = 0; i < 300000; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    open_pair(&p);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_NONE, protocols), context(TLS_CONNECT, TLS_VERIFY_NAME, "all"), "db.example");
    assert_int_equal(p.client.tls, 1);
    assert_int_equal(p.server.tls, 1);
    assert_memory_equal(stream_tls_text(&p.server.s), version, strlen(version));
    /* more than the socket takes: the rest waits in `out` */
    assert_true(stream_send(&p.client.s, big, 300000));
    assert_true(stream_pending(&p.client.s) > 0);
    for (int i = 0; i < 500 && pw_buf_unread(&p.server.got) < 300000; i++)
        turn();
    assert_int_equal(pw_buf_unread(&p.server.got), 300000);
    assert_memory_equal(pw_buf_head(&p.server.got), big, 300000);
    assert_int_equal(stream_pending(&p.client.s), 0);
    assert_int_equal(p.client.s.bytes_out, 300000);
    assert_int_equal(p.server.s.bytes_in, 300000);
    stream_close(&p.client.s);
    turn();
    assert_true(p.server.ended);
    assert_null(stream_tls_error(&p.server.s));
    close_pair(&p);
    free(big);
}

static void test_tls12(void **state)
{
    (void)state;
    each_version("tlsv1.2", "TLSv1.2/");
}

static void test_tls13(void **state)
{
    (void)state;
    each_version("tlsv1.3", "TLSv1.3/");
}

/* A record of 16 KB, read 5,000 bytes at a time with pauses: the socket is silent, the stream must not be. */
static void test_held_input_is_announced(void **state)
{
    (void)state;
    Pair p;
    static uint8_t text[16000];
    open_pair(&p);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL), context(TLS_CONNECT, TLS_VERIFY_NONE, NULL), NULL);
    p.server.stop_reading = true;
    assert_true(stream_send(&p.client.s, text, sizeof(text)));
    turn();
    assert_int_equal(pw_buf_unread(&p.server.got), 5000);
    assert_true(stream_input_held(&p.server.s));
    assert_true(stream_has_input(&p.server.s));
    turn();
    assert_int_equal(p.server.calls, 1); /* reading is off */
    /* handed over in the middle: what is held moves along */
    stream_detach(&p.server.s);
    turn();
    assert_int_equal(p.server.calls, 1);
    p.server.stop_reading = false;
    stream_attach(&p.server.s, worker_get(0));
    for (int i = 0; i < 10 && pw_buf_unread(&p.server.got) < sizeof(text); i++)
        turn();
    assert_int_equal(pw_buf_unread(&p.server.got), sizeof(text));
    assert_false(stream_input_held(&p.server.s));
    assert_false(stream_has_input(&p.server.s));
    close_pair(&p);
}

/* The first bytes were read before it was known that they are TLS. */
static void test_first_bytes(void **state)
{
    (void)state;
    Pair p;
    uint8_t first[4096];
    open_pair(&p);
    p.accept_ctx = context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL);
    p.connect_ctx = context(TLS_CONNECT, TLS_VERIFY_NONE, NULL);
    assert_int_equal(stream_tls_start(&p.client.s, p.connect_ctx, NULL, NULL, 0), PW_OK);
    turn();
    ssize_t n = stream_recv(&p.server.s, first, 100);
    assert_int_equal(n, 100);
    assert_int_equal(first[0], 0x16);
    assert_int_equal(stream_tls_start(&p.server.s, p.accept_ctx, NULL, first, (size_t)n), PW_OK);
    for (int i = 0; i < 50 && p.server.tls < 0; i++)
        turn();
    assert_int_equal(p.server.tls, 1);
    assert_false(stream_tls_has_alpn(&p.server.s));
    close_pair(&p);
}

static void test_no_tls_at_the_other_end(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    p.accept_ctx = context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL);
    assert_int_equal(stream_tls_start(&p.server.s, p.accept_ctx, NULL, NULL, 0), PW_OK);
    assert_true(stream_send(&p.client.s, "GET / HTTP/1.1\r\n\r\n", 18));
    turn();
    assert_int_equal(p.server.tls, 0);
    assert_non_null(stream_tls_error(&p.server.s));
    assert_false(stream_send(&p.server.s, "x", 1));
    close_pair(&p);
}

static void test_vanished_in_the_handshake(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    p.accept_ctx = context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL);
    assert_int_equal(stream_tls_start(&p.server.s, p.accept_ctx, NULL, NULL, 0), PW_OK);
    assert_true(stream_send(&p.client.s, "\x16\x03\x01\x00\xc8", 5));
    stream_close(&p.client.s);
    turn();
    assert_int_equal(p.server.tls, 0);
    assert_null(stream_tls_error(&p.server.s)); /* nothing for the log */
    close_pair(&p);
}

static void host(const char *name, int ok)
{
    Pair p;
    open_pair(&p);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL), context(TLS_CONNECT, TLS_VERIFY_NAME, NULL), name);
    assert_int_equal(p.client.tls, ok);
    if (!ok)
        assert_non_null(strstr(stream_tls_error(&p.client.s), "does not name host"));
    close_pair(&p);
}

static void test_host_names(void **state)
{
    (void)state;
    host("db.example", 1);
    host("127.0.0.1", 1);
    host("alice", 0); /* the common name counts only without other names */
    host("127.0.0.2", 0);
    host("other.example", 0);
}

static bool collect(void *arg, const char *name)
{
    pw_buf_append_str(arg, name);
    pw_buf_append_u8(arg, ' ');
    return strcmp(name, "alice@example.com") == 0;
}

static void test_names_of_the_peer(void **state)
{
    (void)state;
    Pair p;
    PwBuf names;
    pw_buf_init(&names);
    open_pair(&p);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_CA, NULL), context(TLS_CONNECT, TLS_VERIFY_IF_GIVEN, NULL), NULL);
    assert_int_equal(p.server.tls, 1);
    assert_true(stream_tls_peer_has_cert(&p.server.s));
    assert_true(stream_tls_peer_names(&p.server.s, collect, &names));
    assert_memory_equal(pw_buf_head(&names), "alice db.example alice@example.com ", 35);
    pw_buf_finish(&names);
    close_pair(&p);
}

static void test_certificate_is_a_must(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_CA, "tlsv1.2"), context(TLS_CONNECT, TLS_VERIFY_NONE, NULL), NULL);
    assert_int_equal(p.server.tls, 0);
    assert_non_null(stream_tls_error(&p.server.s));
    assert_false(stream_tls_peer_has_cert(&p.server.s));
    close_pair(&p);
}

static void test_endpoint_hash(void **state)
{
    (void)state;
    Pair p;
    uint8_t ours[STREAM_TLS_HASH_MAX], theirs[STREAM_TLS_HASH_MAX];
    open_pair(&p);
    assert_int_equal(stream_tls_endpoint_hash(&p.client.s, ours), 0);
    shake(&p, context(TLS_ACCEPT, TLS_VERIFY_NONE, NULL), context(TLS_CONNECT, TLS_VERIFY_NONE, NULL), NULL);
    assert_int_equal(stream_tls_endpoint_hash(&p.client.s, ours), 32);
    assert_int_equal(stream_tls_endpoint_hash(&p.server.s, theirs), 32);
    assert_memory_equal(ours, theirs, 32);
    close_pair(&p);
}

/* ---- contexts ---- */

static PwErr try_spec(TlsSpec spec, TlsCtx **ret, char *why)
{
    spec.prefix = "test_tls";
    return tls_ctx_create(&spec, ret, why);
}

static void test_wrong_settings(void **state)
{
    (void)state;
    char why[TLS_WHY];
    TlsCtx *ctx;
    static const struct {
        TlsSpec spec;
        const char *text;
    } rows[] = {
        {{.protocols = "tlsv2"}, "invalid test_tls_protocols: tlsv2"},
        {{.protocols = "tlsv1.2:!tlsv1.2"}, "invalid test_tls_protocols"},
        {{.ciphers = "nonsense"}, "invalid test_tls_ciphers: nonsense"},
        {{.tls13_ciphers = "nonsense"}, "failed to set the TLSv1.3 cipher suites"},
        {{.dheparams = "768"}, "invalid test_tls_dheparams: 768"},
        {{.ecdhcurve = "moebius"}, "invalid test_tls_ecdhcurve: moebius"},
        {{.ca_file = "/nowhere/ca"}, "cannot read test_tls_ca_file \"/nowhere/ca\": No such file or directory"},
        {{.ca_file = "/dev/null"}, "no certificate in it"},
        {{.cert_file = "/dev/null"}, "must both be set"},
        {{.cert_file = "/dev/null", .key_file = "/dev/null"}, "test_tls_cert_file \"/dev/null\": no start line"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        assert_int_not_equal(try_spec(rows[i].spec, &ctx, why), PW_OK);
        if (!strstr(why, rows[i].text))
            fail_msg("\"%s\" instead of \"%s\"", why, rows[i].text);
    }
}

static void test_equal(void **state)
{
    (void)state;
    char why[TLS_WHY];
    TlsCtx *a, *b, *c, *d;
    TlsSpec spec = {.role = TLS_CONNECT, .ca_file = cert_path};
    assert_int_equal(try_spec(spec, &a, why), PW_OK);
    assert_int_equal(try_spec(spec, &b, why), PW_OK);
    spec.verify = TLS_VERIFY_CA;
    assert_int_equal(try_spec(spec, &c, why), PW_OK);
    spec.verify = TLS_VERIFY_NONE;
    FILE *f = fopen(cert_path, "a"); /* the same settings, other contents */
    fputs("\n", f);
    fclose(f);
    assert_int_equal(try_spec(spec, &d, why), PW_OK);
    assert_true(tls_ctx_equal(a, b));
    assert_false(tls_ctx_equal(a, c));
    assert_false(tls_ctx_equal(a, d));
    assert_false(tls_ctx_equal(a, NULL));
    assert_true(tls_ctx_equal(NULL, NULL));
    tls_ctx_unref(a);
    tls_ctx_unref(b);
    tls_ctx_unref(c);
    tls_ctx_unref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_sends_put_off_keep_their_order),
        cmocka_unit_test(test_what_was_put_off_goes_before_the_socket_closes),
        cmocka_unit_test(test_what_the_kernel_refuses_at_the_end_of_the_turn_waits),
        cmocka_unit_test(test_a_peer_that_is_gone_shows_in_the_loop),
        cmocka_unit_test(test_tls12),
        cmocka_unit_test(test_tls13),
        cmocka_unit_test(test_held_input_is_announced),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_no_tls_at_the_other_end),
        cmocka_unit_test(test_vanished_in_the_handshake),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_names_of_the_peer),
        cmocka_unit_test(test_certificate_is_a_must),
        cmocka_unit_test(test_endpoint_hash),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, make_cert, remove_cert);
}
