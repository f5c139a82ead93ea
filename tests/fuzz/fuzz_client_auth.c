/* SPDX-License-Identifier: ISC */
/* What a client may send before it is logged in: the payloads of 'p' messages. Input: a byte that chooses method
 * and secret, then the payloads, each after its length in two bytes. Nobody gets in without the password,
 * and no input from here has SCRAM's proof of it. */
#include "pooler/auth/client_auth.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ScramCache *cache;
static Secret secrets[4];

static void setup(void)
{
    static const char *const texts[] = {
        "xzzy-41", "md5151259fd95fe948a1521856e97fe4fc3",
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$mATK8iDqHryTIgWTZ8296m60jg8osYPoyh9OwB7eiRA="
        ":u3aLJMCypONYyxiedkUkxm5lXE0seKme58pM2vrB6l0=",
        "",
    };
    if (scram_cache_create(16, &cache))
        abort();
    for (size_t i = 0; i < 4; i++) {
        if (secret_init(&secrets[i], texts[i], strlen(texts[i])))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!cache)
        setup();
    if (size == 0)
        return 0;
    static const ClientAuthMethod methods[] = {CLIENT_AUTH_PLAIN, CLIENT_AUTH_MD5, CLIENT_AUTH_SCRAM};
    unsigned which = data[0] % 5;
    ClientAuthSpec spec = {.method = methods[data[0] / 5 % 3], .user = "u", .scram_iterations = 2, .cache = cache,
                           .secret = which < 4 ? &secrets[which] : NULL};
    ClientAuth *auth = NULL;
    PwBuf out;
    pw_buf_init(&out);
    if (client_auth_create(&spec, &auth))
        abort();
    AuthStep step = client_auth_start(auth, &out);
    data++;
    size--;
    while (step == AUTH_STEP_CONTINUE && size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        n = n > size - 2 ? size - 2 : n;
        /* Exactly its bytes: the sanitizer sees a read past the end of the payload. */
        uint8_t *payload = malloc(n ? n : 1);
        memcpy(payload, data + 2, n);
        size_t before = pw_buf_unread(&out);
        step = client_auth_message(auth, payload, n, &out);
        if (step == AUTH_STEP_FAILED && (pw_buf_unread(&out) != before || !*client_auth_error(auth)))
            abort();
        free(payload);
        data += 2 + n;
        size -= 2 + n;
    }
    if (step == AUTH_STEP_OK && spec.method != CLIENT_AUTH_PLAIN)
        abort(); /* md5 and SCRAM answers depend on random bytes of this login */
    client_auth_destroy(auth);
    pw_buf_finish(&out);
    return 0;
}
