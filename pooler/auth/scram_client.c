/* SPDX-License-Identifier: ISC */
#include "pooler/auth/scram_client.h"

#include "pooler/auth/base64.h"
#include "pooler/auth/scram_text.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

#include <openssl/crypto.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GS2_NONE "n,,"
#define GS2_NOT_OFFERED "y,,"
#define GS2_BOUND "p=tls-server-end-point,,"

static ScramStep on_unexpected(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out);
static ScramStep on_server_first(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out);
static ScramStep on_server_final(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out);

typedef struct StateRow {
    ScramStep (*on_message)(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out);
    ScramClientState next; /* after CONTINUE or OK; everything else leads to DONE */
} StateRow;

static const StateRow rows[] = {
    [SCRAM_CLIENT_START] = {on_unexpected, SCRAM_CLIENT_DONE},
    [SCRAM_CLIENT_GREETED] = {on_server_first, SCRAM_CLIENT_PROVED},
    [SCRAM_CLIENT_PROVED] = {on_server_final, SCRAM_CLIENT_DONE},
    [SCRAM_CLIENT_DONE] = {on_unexpected, SCRAM_CLIENT_DONE},
};
static_assert(PW_ARRAY_LEN(rows) == SCRAM_CLIENT_STATE_COUNT, "a row for each state");

void scram_client_init(ScramClient *c, const ScramClientSpec *spec)
{
    *c = (ScramClient){.state = SCRAM_CLIENT_START, .spec = *spec};
    if (spec->keys)
        c->keys = *spec->keys;
    c->gs2 = !spec->endpoint_hash ? GS2_NONE : spec->plus ? GS2_BOUND : GS2_NOT_OFFERED;
    pw_buf_init(&c->nonce);
    pw_buf_init(&c->auth_message);
}

void scram_client_finish(ScramClient *c)
{
    scram_buf_finish(&c->nonce);
    scram_buf_finish(&c->auth_message);
    scram_work_finish(&c->work);
    pw_wipe(c, sizeof(*c));
}

void scram_client_take_work(ScramClient *c, ScramWork *ret_work)
{
    *ret_work = c->work;
    c->work = (ScramWork){0};
}

void scram_client_give_keys(ScramClient *c, const ScramKeys *keys)
{
    c->derived = *keys;
    c->has_derived = true;
}

/* True: the keys are not at hand, and c->work is what makes them. */
static bool hand_out(ScramClient *c, const uint8_t *salt, size_t salt_len, uint32_t iterations)
{
    ScramKeys keys;
    if (!c->spec.defer_work || c->has_derived || c->spec.keys || iterations > SCRAM_CLIENT_ITERATIONS_MAX)
        return false;
    PwErr err = scram_cache_find(c->spec.cache, c->spec.owner, c->spec.password, salt, salt_len, iterations, &keys);
    pw_wipe(&keys, sizeof(keys));
    if (err != PW_ERR_NOT_FOUND || scram_work_init(&c->work, c->spec.cache, c->spec.owner, c->spec.password, salt,
                                                   salt_len, iterations) != PW_OK)
        return false;
    c->work.keep = true;
    return true;
}

const char *scram_client_detail(const ScramClient *c)
{
    return c->detail ? c->detail : "";
}

static ScramStep broken(ScramClient *c, const char *detail)
{
    c->detail = detail;
    return SCRAM_PROTOCOL;
}

static ScramStep failed(ScramClient *c, const char *detail)
{
    c->detail = detail;
    return SCRAM_FAILED;
}

static ScramStep on_unexpected(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out)
{
    (void)payload;
    (void)n;
    (void)out;
    return c->detail ? SCRAM_PROTOCOL : broken(c, "unexpected SASL message");
}

ScramStep scram_client_first(ScramClient *c, PwBuf *out)
{
    char random[SCRAM_NONCE_LEN + 1];
    if (!c->spec.nonce && scram_nonce(random)) {
        c->state = SCRAM_CLIENT_DONE;
        return failed(c, "no random bytes for the nonce");
    }
    pw_buf_append_str(&c->nonce, c->spec.nonce ? c->spec.nonce : random);
    pw_buf_append_str(&c->auth_message, "n=");
    pw_buf_append_str(&c->auth_message, c->spec.username ? c->spec.username : "");
    pw_buf_append_str(&c->auth_message, ",r=");
    pw_buf_append(&c->auth_message, c->nonce.data, c->nonce.len);
    pw_buf_append_str(out, c->gs2);
    pw_buf_append(out, c->auth_message.data, c->auth_message.len);
    c->state = SCRAM_CLIENT_GREETED;
    return SCRAM_CONTINUE;
}

/* Fills c->keys for the salt and count that the server named; NULL, or what is wrong. */
static const char *get_keys(ScramClient *c, const uint8_t *salt, size_t salt_len, uint32_t iterations)
{
    if (c->spec.keys) {
        const ScramVerifier *v = &c->keys.verifier;
        bool same_salt = v->salt_len == salt_len && memcmp(v->salt, salt, salt_len) == 0;
        if (same_salt && v->iterations == iterations)
            return NULL;
        (void)snprintf(c->mismatch, sizeof(c->mismatch),
                       "SCRAM secret does not match the server's: %s (ours has %u iterations, the server's %u)",
                       same_salt ? "the same salt" : "another salt", (unsigned)v->iterations, (unsigned)iterations);
        return c->mismatch;
    }
    if (c->has_derived) {
        c->keys = c->derived;
        return NULL;
    }
    if (iterations > SCRAM_CLIENT_ITERATIONS_MAX)
        return "server asks for too many SCRAM iterations";
    if (scram_cache_keys(c->spec.cache, c->spec.owner, c->spec.password, salt, salt_len, iterations, &c->keys))
        return "cryptography library failed";
    return NULL;
}

/* "c=" and in base64 the header, bound to the certificate if it says so. */
static void append_binding(ScramClient *c)
{
    PwBuf raw;
    pw_buf_init(&raw);
    pw_buf_append_str(&raw, c->gs2);
    if (c->spec.endpoint_hash && c->spec.plus)
        pw_buf_append(&raw, c->spec.endpoint_hash, c->spec.endpoint_hash_len);
    pw_buf_append_str(&c->auth_message, "c=");
    base64_append(&c->auth_message, raw.data, raw.len);
    pw_buf_finish(&raw);
}

static ScramStep on_server_first(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out)
{
    ScramText t = scram_text(payload, n);
    if (scram_text_peek(&t) == 'm')
        return broken(c, "server requires an unsupported SCRAM extension");
    ScramSpan nonce = scram_text_take(&t, 'r');
    ScramSpan salt = scram_text_take(&t, 's');
    uint32_t iterations = scram_span_number(scram_text_take(&t, 'i'));
    while (!t.bad && !scram_text_at_end(&t)) /* optional extensions are ignored */
        (void)scram_text_take(&t, scram_text_peek(&t));
    uint8_t raw[SCRAM_SALT_MAX];
    size_t raw_len = 0;
    if (t.bad || iterations == 0 || base64_decode(salt.at, salt.n, raw, sizeof(raw), &raw_len) || raw_len == 0)
        return broken(c, "malformed SCRAM message from the server");
    /* The server must add to our nonce: a replayed or empty part of its own proves nothing. */
    if (!scram_span_is_nonce(nonce) || nonce.n <= c->nonce.len ||
        memcmp(nonce.at, c->nonce.data, c->nonce.len) != 0)
        return broken(c, "invalid nonce from the server");
    if (hand_out(c, raw, raw_len, iterations))
        return SCRAM_WORK;
    const char *objection = get_keys(c, raw, raw_len, iterations);
    if (objection)
        return failed(c, objection);

    pw_buf_append_u8(&c->auth_message, ',');
    pw_buf_append(&c->auth_message, payload, n);
    pw_buf_append_u8(&c->auth_message, ',');
    size_t final = c->auth_message.len;
    append_binding(c);
    pw_buf_append_str(&c->auth_message, ",r=");
    pw_buf_append(&c->auth_message, nonce.at, nonce.n);

    uint8_t proof[SCRAM_KEY_LEN];
    if (scram_hmac(c->keys.verifier.stored_key, c->auth_message.data, c->auth_message.len, proof))
        return failed(c, "cryptography library failed");
    for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
        proof[i] ^= c->keys.client_key[i];
    pw_buf_append(out, c->auth_message.data + final, c->auth_message.len - final);
    pw_buf_append_str(out, ",p=");
    base64_append(out, proof, sizeof(proof));
    pw_wipe(proof, sizeof(proof));
    return SCRAM_CONTINUE;
}

static ScramStep on_server_final(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out)
{
    (void)out;
    ScramText t = scram_text(payload, n);
    if (scram_text_peek(&t) == 'e')
        return failed(c, "server reports a SCRAM error");
    ScramSpan v = scram_text_take(&t, 'v');
    while (!t.bad && !scram_text_at_end(&t))
        (void)scram_text_take(&t, scram_text_peek(&t));
    uint8_t theirs[SCRAM_KEY_LEN], ours[SCRAM_KEY_LEN];
    size_t got = 0;
    if (t.bad || base64_decode(v.at, v.n, theirs, sizeof(theirs), &got) || got != SCRAM_KEY_LEN)
        return broken(c, "malformed SCRAM message from the server");
    if (scram_hmac(c->keys.verifier.server_key, c->auth_message.data, c->auth_message.len, ours))
        return failed(c, "cryptography library failed");
    if (CRYPTO_memcmp(theirs, ours, SCRAM_KEY_LEN) != 0)
        return failed(c, "invalid server signature");
    return SCRAM_OK;
}

ScramStep scram_client_message(ScramClient *c, const uint8_t *payload, size_t n, PwBuf *out)
{
    const StateRow *row = &rows[c->state];
    ScramStep step = n > PW_AUTH_MAX ? broken(c, "message too long") : row->on_message(c, payload, n, out);
    if (step != SCRAM_WORK)
        c->state = step == SCRAM_CONTINUE || step == SCRAM_OK ? row->next : SCRAM_CLIENT_DONE;
    return step;
}
