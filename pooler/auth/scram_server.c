/* SPDX-License-Identifier: ISC */
#include "pooler/auth/scram_server.h"

#include "pooler/auth/base64.h"
#include "pooler/auth/scram_text.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

#include <openssl/crypto.h>

#include <assert.h>
#include <string.h>

#define BINDING_NAME "tls-server-end-point"

static ScramStep on_client_first(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out);
static ScramStep on_client_final(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out);
static ScramStep on_too_late(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out);

typedef struct StateRow {
    ScramStep (*on_message)(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out);
    ScramServerState next; /* after CONTINUE or OK; everything else leads to DONE */
} StateRow;

static const StateRow rows[] = {
    [SCRAM_SERVER_START] = {on_client_first, SCRAM_SERVER_CHALLENGED},
    [SCRAM_SERVER_CHALLENGED] = {on_client_final, SCRAM_SERVER_DONE},
    [SCRAM_SERVER_DONE] = {on_too_late, SCRAM_SERVER_DONE},
};
static_assert(PW_ARRAY_LEN(rows) == SCRAM_SERVER_STATE_COUNT, "a row for each state");

void scram_server_init(ScramServer *s, const ScramServerSpec *spec)
{
    *s = (ScramServer){.state = SCRAM_SERVER_START, .spec = *spec, .verifier = *spec->verifier};
    s->spec.verifier = NULL; /* the copy counts */
    pw_buf_init(&s->gs2);
    pw_buf_init(&s->auth_message);
    pw_buf_init(&s->nonce);
}

void scram_server_finish(ScramServer *s)
{
    scram_buf_finish(&s->gs2);
    scram_buf_finish(&s->auth_message);
    scram_buf_finish(&s->nonce);
    pw_wipe(s, sizeof(*s));
}

const char *scram_server_detail(const ScramServer *s)
{
    return s->detail ? s->detail : "";
}

void scram_server_mechanisms(bool channel_binding, PwBuf *out)
{
    if (channel_binding)
        pw_buf_append_cstr(out, SCRAM_MECHANISM_PLUS);
    pw_buf_append_cstr(out, SCRAM_MECHANISM);
}

bool scram_server_choose(ScramServer *s, const char *mechanism)
{
    s->plus = s->spec.endpoint_hash && strcmp(mechanism, SCRAM_MECHANISM_PLUS) == 0;
    return s->plus || strcmp(mechanism, SCRAM_MECHANISM) == 0;
}

static ScramStep broken(ScramServer *s, const char *detail)
{
    s->detail = detail;
    return SCRAM_PROTOCOL;
}

static ScramStep on_too_late(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out)
{
    (void)payload;
    (void)n;
    (void)out;
    return s->detail ? SCRAM_PROTOCOL : broken(s, "message after the end of the exchange");
}

/* The gs2 header decides about channel binding (RFC 5802, sections 5.1 and 6); NULL: acceptable. */
static const char *check_gs2(const ScramServer *s, char flag, ScramSpan binding, bool has_authzid)
{
    switch (flag) {
    case 'n':
        if (s->plus)
            return "client selected " SCRAM_MECHANISM_PLUS " without channel binding data";
        break;
    case 'y':
        if (s->plus)
            return "client selected " SCRAM_MECHANISM_PLUS " without channel binding data";
        /* "I can, but you did not offer it": if we did offer, somebody took our offer off the wire. */
        if (s->spec.endpoint_hash)
            return "client thinks that channel binding was not offered, but it was";
        break;
    case 'p':
        if (!s->plus)
            return "client asks for channel binding without " SCRAM_MECHANISM_PLUS;
        if (binding.n != strlen(BINDING_NAME) || memcmp(binding.at, BINDING_NAME, binding.n) != 0)
            return "client asks for an unsupported type of channel binding";
        break;
    default:
        return "malformed gs2 header";
    }
    return has_authzid ? "client uses an authorization identity" : NULL;
}

static ScramStep on_client_first(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out)
{
    ScramText t = scram_text(payload, n);
    ScramSpan binding = {.at = "", .n = 0}, nonce;
    char flag = n ? (char)payload[0] : 0;
    bool has_authzid = false;

    if (flag == 'p') {
        binding = scram_text_take(&t, 'p');
    } else {
        t.p += n ? 1 : 0;
        scram_text_expect(&t, ',');
    }
    if (scram_text_peek(&t) == 'a') {
        has_authzid = true;
        (void)scram_text_take(&t, 'a');
    } else {
        scram_text_expect(&t, ',');
    }
    if (t.bad)
        return broken(s, "malformed gs2 header");
    const char *objection = check_gs2(s, flag, binding, has_authzid);
    if (objection)
        return broken(s, objection);

    const char *bare = t.p;
    if (scram_text_peek(&t) == 'm')
        return broken(s, "client requires an unsupported SCRAM extension");
    (void)scram_text_take(&t, 'n');
    nonce = scram_text_take(&t, 'r');
    while (!t.bad && !scram_text_at_end(&t)) /* optional extensions are ignored */
        (void)scram_text_take(&t, scram_text_peek(&t));
    if (t.bad)
        return broken(s, "malformed client-first message");
    if (!scram_span_is_nonce(nonce))
        return broken(s, "non-printable characters in the client's nonce");

    char ours[SCRAM_NONCE_LEN + 1];
    if (!s->spec.nonce && scram_nonce(ours))
        return broken(s, "no random bytes for the nonce");
    pw_buf_append(&s->gs2, payload, (size_t)(bare - (const char *)payload));
    pw_buf_append(&s->nonce, nonce.at, nonce.n);
    pw_buf_append_str(&s->nonce, s->spec.nonce ? s->spec.nonce : ours);

    pw_buf_append(&s->auth_message, bare, (size_t)(t.end - bare));
    pw_buf_append_u8(&s->auth_message, ',');
    size_t server_first = s->auth_message.len;
    pw_buf_append_str(&s->auth_message, "r=");
    pw_buf_append(&s->auth_message, s->nonce.data, s->nonce.len);
    pw_buf_append_str(&s->auth_message, ",s=");
    base64_append(&s->auth_message, s->verifier.salt, s->verifier.salt_len);
    pw_buf_printf(&s->auth_message, ",i=%u", (unsigned)s->verifier.iterations);
    pw_buf_append(out, s->auth_message.data + server_first, s->auth_message.len - server_first);
    return SCRAM_CONTINUE;
}

/* c= must repeat the gs2 header, and with channel binding our certificate's hash. */
static bool binding_matches(const ScramServer *s, ScramSpan c)
{
    PwBuf raw, text;
    pw_buf_init(&raw);
    pw_buf_init(&text);
    pw_buf_append(&raw, s->gs2.data, s->gs2.len);
    if (s->plus)
        pw_buf_append(&raw, s->spec.endpoint_hash, s->spec.endpoint_hash_len);
    base64_append(&text, raw.data, raw.len);
    bool same = c.n == text.len && CRYPTO_memcmp(c.at, text.data, c.n) == 0;
    pw_buf_finish(&raw);
    pw_buf_finish(&text);
    return same;
}

/* Recovers ClientKey from the proof; whether it is the right one says its hash. */
static PwErr check_proof(ScramServer *s, const uint8_t proof[SCRAM_KEY_LEN])
{
    uint8_t signature[SCRAM_KEY_LEN], key[SCRAM_KEY_LEN], stored[SCRAM_KEY_LEN];
    PwErr err = scram_hmac(s->verifier.stored_key, s->auth_message.data, s->auth_message.len, signature);
    for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
        key[i] = proof[i] ^ signature[i];
    if (!err)
        err = scram_hash(key, SCRAM_KEY_LEN, stored);
    if (!err && ((CRYPTO_memcmp(stored, s->verifier.stored_key, SCRAM_KEY_LEN) != 0) | s->spec.doomed))
        err = PW_ERR_AUTH;
    if (!err)
        memcpy(s->client_key, key, SCRAM_KEY_LEN);
    pw_wipe(key, sizeof(key));
    pw_wipe(signature, sizeof(signature));
    return err;
}

static ScramStep on_client_final(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out)
{
    ScramText t = scram_text(payload, n);
    ScramSpan binding = scram_text_take(&t, 'c');
    ScramSpan nonce = scram_text_take(&t, 'r');
    const char *without_proof_end = t.p;
    while (!t.bad && scram_text_peek(&t) != 'p') {
        (void)scram_text_take(&t, scram_text_peek(&t));
        without_proof_end = t.p;
    }
    ScramSpan proof = scram_text_take(&t, 'p');
    uint8_t raw[SCRAM_KEY_LEN], signature[SCRAM_KEY_LEN];
    size_t got = 0;
    if (t.bad || !scram_text_at_end(&t) || base64_decode(proof.at, proof.n, raw, sizeof(raw), &got) ||
        got != SCRAM_KEY_LEN)
        return broken(s, "malformed client-final message");
    if (!binding_matches(s, binding))
        return broken(s, "channel binding check failed");
    if (nonce.n != s->nonce.len || memcmp(nonce.at, s->nonce.data, nonce.n) != 0)
        return broken(s, "nonce does not match");

    pw_buf_append_u8(&s->auth_message, ',');
    pw_buf_append(&s->auth_message, payload, (size_t)(without_proof_end - (const char *)payload) - 1);
    PwErr err = check_proof(s, raw);
    if (!err)
        err = scram_hmac(s->verifier.server_key, s->auth_message.data, s->auth_message.len, signature);
    if (err) {
        s->detail = err == PW_ERR_AUTH ? "wrong password" : "cryptography library failed";
        return SCRAM_FAILED;
    }
    pw_buf_append_str(out, "v=");
    base64_append(out, signature, sizeof(signature));
    return SCRAM_OK;
}

ScramStep scram_server_message(ScramServer *s, const uint8_t *payload, size_t n, PwBuf *out)
{
    const StateRow *row = &rows[s->state];
    ScramStep step = n > PW_AUTH_MAX ? broken(s, "message too long") : row->on_message(s, payload, n, out);
    s->state = step == SCRAM_CONTINUE || step == SCRAM_OK ? row->next : SCRAM_SERVER_DONE;
    return step;
}
