/* SPDX-License-Identifier: ISC */
/* scram_crypto.h - the formulas of RFC 5802 section 3 with SHA-256, on OpenSSL. Pure, any thread. */
#ifndef POOLER_AUTH_SCRAM_CRYPTO_H
#define POOLER_AUTH_SCRAM_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"
#include "poolwise/err.h"

#define SCRAM_NONCE_RAW 18  /* random bytes of a nonce, as PostgreSQL */
#define SCRAM_NONCE_LEN 24  /* its base64 characters */
#define SCRAM_ITERATIONS_DEFAULT 4096

/* PW_ERR_IO: OpenSSL refused (no memory, or an algorithm that its policy forbids). */
PW_MUSTCHECK PwErr scram_hmac(const uint8_t key[SCRAM_KEY_LEN], const void *data, size_t n,
                              uint8_t ret_mac[SCRAM_KEY_LEN]);
PW_MUSTCHECK PwErr scram_hash(const void *data, size_t n, uint8_t ret_hash[SCRAM_KEY_LEN]);

/* ClientKey, StoredKey and ServerKey of a plain password; SASLprep is applied. PW_ERR_RANGE as in
 * scram_cache_keys(). The slow one. */
PW_MUSTCHECK PwErr scram_derive(const char *password, const uint8_t *salt, size_t salt_len,
                                uint32_t iterations, ScramKeys *ret_keys);

/* 24 printable random characters and a NUL. */
PW_MUSTCHECK PwErr scram_nonce(char ret_nonce[SCRAM_NONCE_LEN + 1]);

/* Wipes a buffer that held a secret, then frees it. */
void scram_buf_finish(PwBuf *buf);

#endif
