/* SPDX-License-Identifier: ISC */
/* secrets.h - what an auth_file, an auth_query or a [databases] line stores for a user.
 *
 * A secret is a plain password, "md5" and 32 hex digits, or PostgreSQL's SCRAM verifier
 * SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. Text that looks like a verifier but is
 * not a well-formed one is a plain password, as in PostgreSQL. Immutable after init: any thread. */
#ifndef POOLER_AUTH_SECRETS_H
#define POOLER_AUTH_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

#define SECRET_MAX 65530     /* bytes; with its message a password then fits PW_AUTH_MAX */
#define AUTH_USER_MAX 127    /* bytes of a user name */
#define SCRAM_KEY_LEN 32     /* SHA-256 */
#define SCRAM_SALT_MAX 256   /* decoded bytes; PostgreSQL makes 16 */
#define MD5_SECRET_LEN 35    /* "md5" and 32 hex digits */

typedef enum SecretKind {
    SECRET_EMPTY, /* never matches */
    SECRET_PLAIN,
    SECRET_MD5,
    SECRET_SCRAM,
    SECRET_KIND_COUNT
} SecretKind;

typedef struct ScramVerifier {
    uint32_t iterations;
    uint16_t salt_len;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored_key[SCRAM_KEY_LEN];
    uint8_t server_key[SCRAM_KEY_LEN];
} ScramVerifier;

/* The keys of a login, with the verifier they belong to: what SCRAM pass-through needs. */
typedef struct ScramKeys {
    uint8_t client_key[SCRAM_KEY_LEN];
    ScramVerifier verifier;
} ScramKeys;

typedef struct Secret {
    SecretKind kind;
    uint16_t len;          /* of text, without the NUL */
    char *text;            /* as stored */
    ScramVerifier *scram;  /* only with SECRET_SCRAM, else NULL */
} Secret;

/* Copies text (need not end in NUL). PW_ERR_TOO_LARGE above SECRET_MAX, PW_ERR_SYNTAX when it holds a
 * NUL byte. On error *ret_secret is untouched. */
PW_MUSTCHECK PwErr secret_init(Secret *ret_secret, const char *text, size_t len);

/* Wipes and frees; the secret is then SECRET_EMPTY. */
void secret_finish(Secret *secret);

/* Reads a SCRAM verifier. PW_ERR_SYNTAX when it is not well-formed. */
PW_MUSTCHECK PwErr scram_verifier_parse(const char *text, size_t len, ScramVerifier *ret_verifier);

/* True when text starts as a SCRAM verifier does, well-formed or not. */
bool secret_looks_like_scram(const char *text, size_t len);

/* Same iterations, salt and keys; constant time in the keys. */
bool scram_verifier_equal(const ScramVerifier *a, const ScramVerifier *b);

const char *secret_kind_name(SecretKind kind);

#endif
