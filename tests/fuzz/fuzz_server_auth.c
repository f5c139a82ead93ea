/* SPDX-License-Identifier: ISC */
/* What a server may ask of us: the payloads of 'R' messages, each after its length in two bytes; the first byte
 * chooses the secret. A server that did not finish SCRAM is never believed. */
#include "pooler/auth/server_auth.h"
#include "poolwise/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ScramCache *cache;
static Secret secrets[3];
static ScramKeys keys;

static void setup(void)
{
    static const char *const texts[] = {
        "secret", "md5151259fd95fe948a1521856e97fe4fc3",
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$mATK8iDqHryTIgWTZ8296m60jg8osYPoyh9OwB7eiRA="
        ":u3aLJMCypONYyxiedkUkxm5lXE0seKme58pM2vrB6l0=",
    };
    if (scram_cache_create(64, &cache))
        abort();
    for (size_t i = 0; i < 3; i++) {
        if (secret_init(&secrets[i], texts[i], strlen(texts[i])))
            abort();
    }
    keys.verifier = *secrets[2].scram;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!cache)
        setup();
    if (size == 0)
        return 0;
    unsigned which = data[0] % 4;
    ServerAuthSpec spec = {
        .user = "u", .secret = which < 3 ? &secrets[which] : NULL, .scram_keys = which == 2 ? &keys : NULL, .cache = cache};
    ServerAuth *auth = NULL;
    PwBuf out;
    pw_buf_init(&out);
    if (server_auth_create(&spec, &auth))
        abort();
    AuthStep step = AUTH_STEP_CONTINUE;
    bool sasl = false;
    data++;
    size--;
    while (step == AUTH_STEP_CONTINUE && size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        n = n > size - 2 ? size - 2 : n;
        uint8_t *payload = malloc(n ? n : 1);
        memcpy(payload, data + 2, n);
        size_t before = pw_buf_unread(&out);
        step = server_auth_message(auth, payload, n, &out);
        if (step == AUTH_STEP_CONTINUE && n >= 4 && pw_be32(payload) == 10)
            sasl = true;
        if (step == AUTH_STEP_FAILED && (pw_buf_unread(&out) != before || !*server_auth_error(auth)))
            abort();
        free(payload);
        data += 2 + n;
        size -= 2 + n;
    }
    if (step == AUTH_STEP_OK && sasl)
        abort(); /* it would have had to know our random nonce */
    server_auth_destroy(auth);
    pw_buf_finish(&out);
    return 0;
}
