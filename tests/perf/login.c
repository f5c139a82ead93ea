/* SPDX-License-Identifier: ISC */
#include "login.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/auth/server_auth.h"
#include "sock.h"

#define PAYLOAD_MAX 512

struct Login {
    ServerAuth *auth;
    size_t have;
    uint8_t payload[PAYLOAD_MAX];
};

static ScramCache *cache;
static Secret secret;

static void set_up(const char *password)
{
    if (scram_cache_create(16, &cache) != PW_OK || secret_init(&secret, password, strlen(password)) != PW_OK)
        die("pgload: password");
}

Login *login_begin(const char *user, const char *password)
{
    if (!cache)
        set_up(password);
    Login *login = must_alloc(1, sizeof(*login));
    ServerAuthSpec spec = {.user = user, .secret = &secret, .cache = cache};
    if (server_auth_create(&spec, &login->auth) != PW_OK)
        die("pgload: login");
    return login;
}

void login_end(Login *login)
{
    if (!login)
        return;
    server_auth_destroy(login->auth);
    free(login);
}

const char *login_request(Login *login, const uint8_t *p, size_t n, bool whole, const uint8_t **ret_answer, size_t *ret_len)
{
    static PwBuf out;
    *ret_len = 0;
    if (n > sizeof(login->payload) - login->have)
        return "a request for authentication is too long";
    memcpy(login->payload + login->have, p, n);
    login->have += n;
    if (!whole)
        return NULL;
    pw_buf_consume(&out, pw_buf_unread(&out));
    AuthStep step = server_auth_message(login->auth, login->payload, login->have, &out);
    login->have = 0;
    if (step == AUTH_STEP_FAILED)
        return server_auth_error(login->auth);
    *ret_answer = pw_buf_head(&out);
    *ret_len = pw_buf_unread(&out);
    return NULL;
}
