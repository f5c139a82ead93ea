/* SPDX-License-Identifier: ISC */
#include "pooler/auth/scram_crypto.h"

#include "pooler/auth/saslprep.h"
#include "poolwise/mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdlib.h>
#include <string.h>

PwErr scram_hmac(const uint8_t key[SCRAM_KEY_LEN], const void *data, size_t n, uint8_t ret_mac[SCRAM_KEY_LEN])
{
    unsigned len = 0;
    uint8_t mac[EVP_MAX_MD_SIZE];
    if (!HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, data, n, mac, &len) || len != SCRAM_KEY_LEN)
        return PW_ERR_IO;
    memcpy(ret_mac, mac, SCRAM_KEY_LEN);
    pw_wipe(mac, sizeof(mac));
    return PW_OK;
}

PwErr scram_hash(const void *data, size_t n, uint8_t ret_hash[SCRAM_KEY_LEN])
{
    unsigned len = 0;
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(data, n, hash, &len, EVP_sha256(), NULL) || len != SCRAM_KEY_LEN)
        return PW_ERR_IO;
    memcpy(ret_hash, hash, SCRAM_KEY_LEN);
    pw_wipe(hash, sizeof(hash));
    return PW_OK;
}

PwErr scram_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                   ScramKeys *ret_keys)
{
    if (iterations == 0 || iterations > INT32_MAX || salt_len > SCRAM_SALT_MAX)
        return PW_ERR_RANGE;

    char *prepared = saslprep(password);
    size_t prepared_len = strlen(prepared);
    uint8_t salted[SCRAM_KEY_LEN];
    ScramKeys keys = {.verifier = {.iterations = iterations, .salt_len = (uint16_t)salt_len}};
    PwErr err = PW_ERR_IO;

    memcpy(keys.verifier.salt, salt, salt_len);
    if (PKCS5_PBKDF2_HMAC(prepared, (int)prepared_len, salt, (int)salt_len, (int)iterations, EVP_sha256(),
                          SCRAM_KEY_LEN, salted) == 1)
        err = scram_hmac(salted, "Client Key", 10, keys.client_key);
    if (!err)
        err = scram_hash(keys.client_key, SCRAM_KEY_LEN, keys.verifier.stored_key);
    if (!err)
        err = scram_hmac(salted, "Server Key", 10, keys.verifier.server_key);
    if (!err)
        *ret_keys = keys;

    pw_wipe(prepared, prepared_len);
    free(prepared);
    pw_wipe(salted, sizeof(salted));
    pw_wipe(&keys, sizeof(keys));
    return err;
}

PwErr scram_nonce(char ret_nonce[SCRAM_NONCE_LEN + 1])
{
    uint8_t raw[SCRAM_NONCE_RAW];
    if (RAND_bytes(raw, sizeof(raw)) != 1)
        return PW_ERR_IO;
    EVP_EncodeBlock((unsigned char *)ret_nonce, raw, sizeof(raw)); /* 18 bytes give 24 without padding */
    return PW_OK;
}

void scram_buf_finish(PwBuf *buf)
{
    if (buf->data)
        pw_wipe(buf->data, buf->cap);
    pw_buf_finish(buf);
}
