/* SPDX-License-Identifier: ISC */
#include "pooler/net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

/* What holds up a login is the copy of one key: no crypto happens under the lock, but for the making of a new key, once an hour. */
struct TlsTickets {
    pthread_mutex_t lock;
    TlsTicketKey keys[2]; /* under the lock; the one that seals, the one before: made == 0 when there was none */
    EVP_CIPHER *cipher;   /* fetched once: a look-up by name costs more than sealing a ticket */
};

static bool make_key(TlsTicketKey *key, PwUsec now)
{
    key->made = now;
    return RAND_bytes(key->name, sizeof(key->name)) == 1 && RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
           RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
}

TlsTickets *tls_tickets_create(void)
{
    TlsTickets *t = pw_secret_alloc(sizeof(*t));
    if (!t)
        return NULL;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!t->cipher || !make_key(&t->keys[0], pw_time_mono())) {
        EVP_CIPHER_free(t->cipher);
        pw_secret_free(t, sizeof(*t));
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void tls_tickets_destroy(TlsTickets *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    EVP_CIPHER_free(t->cipher);
    pw_secret_free(t, sizeof(*t));
}

/* ---- keys ---- */

static bool opens(const TlsTicketKey *key, PwUsec now)
{
    return key->made && now - key->made < 2 * TLS_TICKET_LIFE;
}

/* Under the lock. */
static bool rotate(TlsTickets *t, PwUsec now)
{
    TlsTicketKey fresh;
    bool ok = make_key(&fresh, now);
    if (ok) {
        t->keys[1] = t->keys[0];
        t->keys[0] = fresh;
    }
    pw_wipe(&fresh, sizeof(fresh));
    return ok;
}

bool tls_tickets_seal(TlsTickets *t, PwUsec now, TlsTicketKey *ret_key)
{
    pthread_mutex_lock(&t->lock);
    bool ok = now - t->keys[0].made < TLS_TICKET_LIFE || rotate(t, now);
    if (!opens(&t->keys[1], now))
        pw_wipe(&t->keys[1], sizeof(t->keys[1]));
    if (ok)
        *ret_key = t->keys[0];
    pthread_mutex_unlock(&t->lock);
    return ok;
}

TlsTicketAge tls_tickets_open(TlsTickets *t, const uint8_t name[16], PwUsec now, TlsTicketKey *ret_key)
{
    TlsTicketAge age = TLS_TICKET_UNKNOWN;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < 2 && age == TLS_TICKET_UNKNOWN; i++) {
        const TlsTicketKey *key = &t->keys[i];
        if (!opens(key, now) || memcmp(key->name, name, sizeof(key->name)) != 0)
            continue;
        age = now - key->made < TLS_TICKET_LIFE ? TLS_TICKET_FRESH : TLS_TICKET_TO_RENEW;
        *ret_key = *key;
    }
    pthread_mutex_unlock(&t->lock);
    return age;
}

/* ---- toward OpenSSL ---- */

static TlsTickets *tickets_of(SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static bool use_key(const TlsTickets *t, TlsTicketKey *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, t->cipher, key->cipher, iv, seal, NULL) == 1 && EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's: -1 fails the handshake, 0 does not know the ticket, 1 has a key, 2 has a key and wants the ticket renewed. */
static int on_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    TlsTickets *t = tickets_of(ssl);
    TlsTicketKey key;
    int result = -1;
    if (seal) {
        if (tls_tickets_seal(t, pw_time_mono(), &key) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) == 1) {
            memcpy(name, key.name, sizeof(key.name));
            result = use_key(t, &key, iv, cipher, mac, true) ? 1 : -1;
        }
        pw_wipe(&key, sizeof(key));
        return result;
    }
    switch (tls_tickets_open(t, name, pw_time_mono(), &key)) {
    case TLS_TICKET_UNKNOWN:
        return 0;
    case TLS_TICKET_FRESH:
        result = 1;
        break;
    case TLS_TICKET_TO_RENEW:
        result = 2;
        break;
    }
    if (!use_key(t, &key, iv, cipher, mac, false))
        result = -1;
    pw_wipe(&key, sizeof(key));
    return result;
}

bool tls_tickets_is_worn(SSL_SESSION *session, time_t now)
{
    void *noted;
    size_t n;
    int64_t began;
    if (SSL_SESSION_get0_ticket_appdata(session, &noted, &n) == 1 && n == sizeof(began)) {
        memcpy(&began, noted, sizeof(began));
    } else { /* the first ticket since the full handshake: it was sealed with it */
        began = SSL_SESSION_get_time(session);
        if (SSL_SESSION_set1_ticket_appdata(session, &began, sizeof(began)) != 1)
            return true;
    }
    return now - began >= TLS_TICKET_CHAIN;
}

static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len, SSL_TICKET_STATUS status,
                                   void *arg)
{
    (void)ssl;
    (void)name;
    (void)name_len;
    (void)arg;
    if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_ABORT;
    if (tls_tickets_is_worn(session, time(NULL)))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void tls_tickets_install(TlsTickets *t, SSL_CTX *ssl)
{
    SSL_CTX_set_app_data(ssl, t);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_key);
    SSL_CTX_set_session_ticket_cb(ssl, NULL, on_opened, NULL);
    SSL_CTX_set_timeout(ssl, TLS_TICKET_LIFE / PW_USEC_PER_SEC);
    SSL_CTX_clear_options(ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ssl, 1);
}
