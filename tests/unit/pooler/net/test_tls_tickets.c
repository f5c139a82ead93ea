/* SPDX-License-Identifier: ISC */
#include "pooler/net/tls_tickets.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIFE TLS_TICKET_LIFE

/* The clocks of the module; OpenSSL's own runs on. */
static PwUsec mono = 1000 * PW_USEC_PER_SEC;
static time_t later; /* seconds ahead of the real time */

PwUsec __wrap_pw_time_mono(void);
time_t __wrap_time(time_t *ret);
time_t __real_time(time_t *ret);

PwUsec __wrap_pw_time_mono(void)
{
    return mono;
}

time_t __wrap_time(time_t *ret)
{
    time_t now = __real_time(NULL) + later;
    if (ret)
        *ret = now;
    return now;
}

static TlsTicketKey seal(TlsTickets *t, PwUsec now)
{
    TlsTicketKey key;
    assert_true(tls_tickets_seal(t, now, &key));
    return key;
}

static TlsTicketAge open_at(TlsTickets *t, const TlsTicketKey *key, PwUsec now)
{
    TlsTicketKey found;
    TlsTicketAge age = tls_tickets_open(t, key->name, now, &found);
    if (age != TLS_TICKET_UNKNOWN) {
        assert_memory_equal(found.cipher, key->cipher, sizeof(found.cipher));
        assert_memory_equal(found.mac, key->mac, sizeof(found.mac));
    }
    return age;
}

static void test_a_key_seals_for_one_life_and_opens_for_two(void **state)
{
    (void)state;
    TlsTickets *t = tls_tickets_create();
    TlsTicketKey a = seal(t, mono);
    PwUsec made = a.made;
    TlsTicketKey same = seal(t, made + LIFE - 1);
    assert_memory_equal(&same, &a, sizeof(a));
    assert_int_equal(open_at(t, &a, made + LIFE - 1), TLS_TICKET_FRESH);

    TlsTicketKey b = seal(t, made + LIFE);
    assert_memory_not_equal(b.name, a.name, sizeof(a.name));
    assert_memory_not_equal(b.cipher, a.cipher, sizeof(a.cipher));
    assert_memory_not_equal(b.mac, a.mac, sizeof(a.mac));
    assert_int_equal(open_at(t, &b, made + LIFE), TLS_TICKET_FRESH);
    assert_int_equal(open_at(t, &a, made + LIFE), TLS_TICKET_TO_RENEW);
    assert_int_equal(open_at(t, &a, made + 2 * LIFE - 1), TLS_TICKET_TO_RENEW);
    assert_int_equal(open_at(t, &a, made + 2 * LIFE), TLS_TICKET_UNKNOWN);

    TlsTicketKey c = seal(t, made + 2 * LIFE);
    assert_int_equal(open_at(t, &c, made + 2 * LIFE), TLS_TICKET_FRESH);
    assert_int_equal(open_at(t, &b, made + 2 * LIFE), TLS_TICKET_TO_RENEW);
    assert_int_equal(open_at(t, &a, made + LIFE), TLS_TICKET_UNKNOWN); /* it is really gone */
    tls_tickets_destroy(t);
}

static void test_a_key_that_nobody_renewed_ends_all_the_same(void **state)
{
    (void)state;
    TlsTickets *t = tls_tickets_create();
    TlsTicketKey a = seal(t, mono);
    assert_int_equal(open_at(t, &a, a.made + LIFE), TLS_TICKET_TO_RENEW);
    assert_int_equal(open_at(t, &a, a.made + 2 * LIFE), TLS_TICKET_UNKNOWN);
    TlsTicketKey b = seal(t, a.made + 5 * LIFE);
    assert_int_equal(open_at(t, &b, a.made + 5 * LIFE), TLS_TICKET_FRESH);
    assert_int_equal(open_at(t, &a, a.made + LIFE), TLS_TICKET_UNKNOWN); /* not kept as the one before */
    tls_tickets_destroy(t);
}

static void test_names_of_others(void **state)
{
    (void)state;
    TlsTickets *t = tls_tickets_create(), *other = tls_tickets_create();
    TlsTicketKey key = seal(other, mono), nought = {.made = 0};
    assert_int_equal(open_at(t, &key, key.made), TLS_TICKET_UNKNOWN);
    assert_int_equal(open_at(t, &nought, key.made), TLS_TICKET_UNKNOWN); /* the place of the key before is empty */
    tls_tickets_destroy(t);
    tls_tickets_destroy(other);
}

static void test_a_chain_of_tickets_ends(void **state)
{
    (void)state;
    SSL_SESSION *session = SSL_SESSION_new();
    time_t began = 1000000;
    SSL_SESSION_set_time(session, began);
    assert_false(tls_tickets_is_worn(session, began + 60));
    SSL_SESSION_set_time(session, began + TLS_TICKET_CHAIN - 1); /* as OpenSSL does for each ticket of TLS 1.3 */
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    assert_false(tls_tickets_is_worn(copy, began + TLS_TICKET_CHAIN - 1));
    assert_true(tls_tickets_is_worn(copy, began + TLS_TICKET_CHAIN));
    SSL_SESSION_free(copy);
    SSL_SESSION_free(session);
}

/* ---- with OpenSSL on both sides: TLS 1.2, anonymous, so that no certificate is needed */

static SSL_CTX *context(bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "AECDH-AES256-SHA:@SECLEVEL=0"), 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

/* A handshake with *session, if there is one; the session that follows replaces it. Was it resumed? */
static bool handshake(SSL_CTX *server, SSL_CTX *client, SSL_SESSION **session)
{
    SSL *s = SSL_new(server), *c = SSL_new(client);
    BIO *a, *b;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(s, a, a);
    SSL_set_bio(c, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    if (*session)
        assert_int_equal(SSL_set_session(c, *session), 1);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(s) && SSL_is_init_finished(c)); i++) {
        SSL_do_handshake(c);
        SSL_do_handshake(s);
    }
    assert_true(SSL_is_init_finished(s) && SSL_is_init_finished(c));
    bool resumed = SSL_session_reused(c);
    assert_int_equal(SSL_session_reused(s), resumed);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(c);
    SSL_shutdown(s); /* a session that was not ended is not taken again */
    SSL_shutdown(c);
    SSL_free(s);
    SSL_free(c);
    return resumed;
}

static void test_handshakes(void **state)
{
    (void)state;
    TlsTickets *t = tls_tickets_create();
    SSL_CTX *server = context(true), *client = context(false);
    SSL_SESSION *session = NULL, *old, *again;
    tls_tickets_install(t, server);
    assert_false(handshake(server, client, &session));
    assert_true(SSL_SESSION_has_ticket(session));
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), 3600);
    assert_true(handshake(server, client, &session));

    mono += LIFE; /* the key does not seal any more, but opens, and the client gets a ticket under the next one */
    SSL_SESSION_up_ref(old = session);
    assert_true(handshake(server, client, &session));
    SSL_SESSION_up_ref(again = old);
    assert_true(handshake(server, client, &again)); /* by the key before */
    mono += LIFE;
    assert_true(handshake(server, client, &session));
    assert_false(handshake(server, client, &old));
    mono += 2 * LIFE;
    assert_false(handshake(server, client, &session));

    assert_true(handshake(server, client, &session));
    later = TLS_TICKET_CHAIN + 1;
    assert_false(handshake(server, client, &session)); /* the full handshake is too long ago */
    later = 0;
    SSL_SESSION_free(session);
    SSL_SESSION_free(old);
    SSL_SESSION_free(again);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    tls_tickets_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_seals_for_one_life_and_opens_for_two),
        cmocka_unit_test(test_a_key_that_nobody_renewed_ends_all_the_same),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_a_chain_of_tickets_ends),
        cmocka_unit_test(test_handshakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
