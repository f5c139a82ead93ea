/* SPDX-License-Identifier: ISC */
#include "pooler/auth/secrets.h"

#include "pooler/auth/base64.h"
#include "poolwise/mem.h"

#include <openssl/crypto.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char scram_prefix[] = "SCRAM-SHA-256$";
#define SCRAM_PREFIX_LEN (sizeof(scram_prefix) - 1)

static const char *const kind_names[] = {"empty", "plain", "md5", "scram-sha-256"};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == SECRET_KIND_COUNT, "a name for each kind");

const char *secret_kind_name(SecretKind kind)
{
    return kind_names[kind];
}

bool secret_looks_like_scram(const char *text, size_t len)
{
    return len >= SCRAM_PREFIX_LEN && memcmp(text, scram_prefix, SCRAM_PREFIX_LEN) == 0;
}

/* Cuts the field before the next `end` off *text; false when there is none. */
static bool take_field(const char **text, size_t *len, char end, const char **ret_field, size_t *ret_n)
{
    const char *at = memchr(*text, end, *len);
    if (!at)
        return false;
    *ret_field = *text;
    *ret_n = (size_t)(at - *text);
    *len -= *ret_n + 1;
    *text = at + 1;
    return true;
}

static bool parse_iterations(const char *digits, size_t n, uint32_t *ret_iterations)
{
    uint64_t value = 0;
    if (n == 0 || n > 10)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    if (value == 0 || value > INT32_MAX)
        return false;
    *ret_iterations = (uint32_t)value;
    return true;
}

PwErr scram_verifier_parse(const char *text, size_t len, ScramVerifier *ret_verifier)
{
    ScramVerifier v = {0};
    const char *iterations, *salt, *stored;
    size_t n_iterations, n_salt, n_stored, got = 0;
    PwErr err = PW_ERR_SYNTAX;

    if (!secret_looks_like_scram(text, len))
        return PW_ERR_SYNTAX;
    text += SCRAM_PREFIX_LEN;
    len -= SCRAM_PREFIX_LEN;
    if (!take_field(&text, &len, ':', &iterations, &n_iterations) ||
        !take_field(&text, &len, '$', &salt, &n_salt) || !take_field(&text, &len, ':', &stored, &n_stored))
        return PW_ERR_SYNTAX;
    if (!parse_iterations(iterations, n_iterations, &v.iterations))
        return PW_ERR_SYNTAX;
    if (base64_decode(salt, n_salt, v.salt, sizeof(v.salt), &got) || got == 0)
        goto done;
    v.salt_len = (uint16_t)got;
    if (base64_decode(stored, n_stored, v.stored_key, SCRAM_KEY_LEN, &got) || got != SCRAM_KEY_LEN)
        goto done;
    if (base64_decode(text, len, v.server_key, SCRAM_KEY_LEN, &got) || got != SCRAM_KEY_LEN)
        goto done;
    *ret_verifier = v;
    err = PW_OK;
done:
    pw_wipe(&v, sizeof(v));
    return err;
}

bool scram_verifier_equal(const ScramVerifier *a, const ScramVerifier *b)
{
    return a->iterations == b->iterations && a->salt_len == b->salt_len &&
           memcmp(a->salt, b->salt, a->salt_len) == 0 &&
           CRYPTO_memcmp(a->stored_key, b->stored_key, SCRAM_KEY_LEN) == 0 &&
           CRYPTO_memcmp(a->server_key, b->server_key, SCRAM_KEY_LEN) == 0;
}

static bool is_md5_secret(const char *text, size_t len)
{
    if (len != MD5_SECRET_LEN || memcmp(text, "md5", 3) != 0)
        return false;
    for (size_t i = 3; i < len; i++) {
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!hex)
            return false;
    }
    return true;
}

PwErr secret_init(Secret *ret_secret, const char *text, size_t len)
{
    if (len > SECRET_MAX)
        return PW_ERR_TOO_LARGE;
    if (len && memchr(text, '\0', len))
        return PW_ERR_SYNTAX;

    Secret s = {.kind = SECRET_PLAIN, .len = (uint16_t)len};
    ScramVerifier verifier;
    if (len == 0) {
        s.kind = SECRET_EMPTY;
    } else if (is_md5_secret(text, len)) {
        s.kind = SECRET_MD5;
    } else if (scram_verifier_parse(text, len, &verifier) == PW_OK) {
        s.kind = SECRET_SCRAM;
        s.scram = pw_xmalloc(sizeof(*s.scram));
        *s.scram = verifier;
        pw_wipe(&verifier, sizeof(verifier));
    }
    s.text = malloc(len + 1);
    if (!s.text) {
        free(s.scram);
        return PW_ERR_NOMEM;
    }
    if (len)
        memcpy(s.text, text, len);
    s.text[len] = '\0';
    *ret_secret = s;
    return PW_OK;
}

void secret_finish(Secret *secret)
{
    if (secret->scram) {
        pw_wipe(secret->scram, sizeof(*secret->scram));
        free(secret->scram);
    }
    if (secret->text) {
        pw_wipe(secret->text, secret->len);
        free(secret->text);
    }
    *secret = (Secret){.kind = SECRET_EMPTY};
}
