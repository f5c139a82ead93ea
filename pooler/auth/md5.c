/* SPDX-License-Identifier: ISC */
#include "pooler/auth/md5.h"

#include "poolwise/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <string.h>

#define MD5_LEN 16

/* "md5" and the digits of md5(a || b). */
static PwErr md5_text(const void *a, size_t n_a, const void *b, size_t n_b, char ret_text[MD5_SECRET_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) && EVP_DigestUpdate(ctx, a, n_a) &&
              EVP_DigestUpdate(ctx, b, n_b) && EVP_DigestFinal_ex(ctx, hash, &len) && len == MD5_LEN;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return PW_ERR_IO;
    memcpy(ret_text, "md5", 3);
    for (size_t i = 0; i < MD5_LEN; i++) {
        ret_text[3 + 2 * i] = digits[hash[i] >> 4];
        ret_text[4 + 2 * i] = digits[hash[i] & 15];
    }
    ret_text[MD5_SECRET_LEN] = '\0';
    pw_wipe(hash, sizeof(hash));
    return PW_OK;
}

PwErr md5_secret(const char *password, const char *user, char ret_text[MD5_SECRET_LEN + 1])
{
    return md5_text(password, strlen(password), user, strlen(user), ret_text);
}

PwErr md5_response(const Secret *secret, const char *user, const uint8_t salt[MD5_SALT_LEN],
                   char ret_text[MD5_SECRET_LEN + 1])
{
    char stored[MD5_SECRET_LEN + 1];
    PwErr err = PW_OK;
    switch (secret->kind) {
    case SECRET_PLAIN:
        err = md5_secret(secret->text, user, stored);
        break;
    case SECRET_MD5:
        memcpy(stored, secret->text, sizeof(stored));
        break;
    case SECRET_EMPTY:
    case SECRET_SCRAM:
    case SECRET_KIND_COUNT:
        return PW_ERR_AUTH;
    }
    if (!err)
        err = md5_text(stored + 3, MD5_SECRET_LEN - 3, salt, MD5_SALT_LEN, ret_text);
    pw_wipe(stored, sizeof(stored));
    return err;
}

PwErr md5_verify(const Secret *secret, const char *user, const uint8_t salt[MD5_SALT_LEN], const char *response,
                 size_t n)
{
    char expected[MD5_SECRET_LEN + 1];
    PwErr err = md5_response(secret, user, salt, expected);
    if (err)
        return err;
    if (n != MD5_SECRET_LEN || CRYPTO_memcmp(expected, response, MD5_SECRET_LEN) != 0)
        err = PW_ERR_AUTH;
    pw_wipe(expected, sizeof(expected));
    return err;
}
