/* SPDX-License-Identifier: ISC */
#include "pooler/auth/password.h"

#include "pooler/auth/md5.h"
#include "pooler/auth/scram_crypto.h"
#include "poolwise/mem.h"

#include <openssl/crypto.h>

#include <string.h>

/* Compares digests of both sides: neither the content nor the length of the stored one shows in the time. */
static PwErr verify_plain(const Secret *secret, const char *password)
{
    uint8_t a[SCRAM_KEY_LEN], b[SCRAM_KEY_LEN];
    PwErr err = scram_hash(secret->text, secret->len, a);
    if (!err)
        err = scram_hash(password, strlen(password), b);
    if (!err && CRYPTO_memcmp(a, b, sizeof(a)) != 0)
        err = PW_ERR_AUTH;
    pw_wipe(a, sizeof(a));
    pw_wipe(b, sizeof(b));
    return err;
}

static PwErr verify_md5(const Secret *secret, const char *user, const char *password)
{
    char text[MD5_SECRET_LEN + 1];
    PwErr err = md5_secret(password, user, text);
    if (!err && CRYPTO_memcmp(text, secret->text, MD5_SECRET_LEN) != 0)
        err = PW_ERR_AUTH;
    pw_wipe(text, sizeof(text));
    return err;
}

/* The server key alone decides, as in PostgreSQL; the stored key would say the same. */
bool password_keys_match(const Secret *secret, const ScramKeys *keys)
{
    return CRYPTO_memcmp(keys->verifier.server_key, secret->scram->server_key, SCRAM_KEY_LEN) == 0;
}

static PwErr verify_scram(const Secret *secret, const char *user, const char *password, ScramCache *cache)
{
    const ScramVerifier *v = secret->scram;
    ScramKeys keys;
    PwErr err = scram_cache_find(cache, user, password, v->salt, v->salt_len, v->iterations, &keys);
    bool cached = err == PW_OK;
    if (err == PW_ERR_NOT_FOUND)
        err = scram_derive(password, v->salt, v->salt_len, v->iterations, &keys);
    if (err)
        return err;
    if (!password_keys_match(secret, &keys))
        err = PW_ERR_AUTH;
    else if (!cached)
        scram_cache_keep(cache, user, password, &keys);
    pw_wipe(&keys, sizeof(keys));
    return err;
}

PwErr password_verify(const Secret *secret, const char *user, const char *password, ScramCache *cache)
{
    if (password[0] == '\0')
        return PW_ERR_AUTH;
    switch (secret->kind) {
    case SECRET_PLAIN:
        return verify_plain(secret, password);
    case SECRET_MD5:
        return verify_md5(secret, user, password);
    case SECRET_SCRAM:
        return verify_scram(secret, user, password, cache);
    case SECRET_EMPTY:
    case SECRET_KIND_COUNT:
        break;
    }
    return PW_ERR_AUTH;
}
