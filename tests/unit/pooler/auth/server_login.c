/* SPDX-License-Identifier: ISC */
/* server_login.c - logs in to a real server with server_auth; for check_server_auth.py.
 *
 *   server_login SOCKET USER SECRET [CLIENT_KEY_HEX]
 *
 * Prints "ok", "failed: TEXT" (our refusal) or "server: TEXT" (its ErrorResponse). With a client key the SECRET is
 * a SCRAM verifier and the key is passed through. */
#include "pooler/auth/server_auth.h"
#include "poolwise/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void send_all(int fd, PwBuf *out)
{
    while (pw_buf_unread(out)) {
        ssize_t n = write(fd, pw_buf_head(out), pw_buf_unread(out));
        if (n <= 0)
            die("write");
        pw_buf_consume(out, (size_t)n);
    }
}

static void read_exactly(int fd, uint8_t *to, size_t n)
{
    while (n) {
        ssize_t got = read(fd, to, n);
        if (got <= 0)
            die("read");
        to += got;
        n -= (size_t)got;
    }
}

static int login(int fd, ServerAuth *auth, PwBuf *out)
{
    static uint8_t payload[PW_AUTH_MAX];
    for (;;) {
        uint8_t header[PW_WIRE_HEADER];
        send_all(fd, out);
        read_exactly(fd, header, sizeof(header));
        size_t n = pw_be32(header + 1) - 4;
        if (n > sizeof(payload))
            die("message length");
        read_exactly(fd, payload, n);
        if (header[0] == PW_B_ERROR) {
            printf("server: %s\n", pw_error_field(payload, n, 'M'));
            return 1;
        }
        if (header[0] != PW_B_AUTH)
            die("unexpected message");
        switch (server_auth_message(auth, payload, n, out)) {
        case AUTH_STEP_CONTINUE:
            break;
        case AUTH_STEP_OK:
            puts("ok");
            return 0;
        case AUTH_STEP_FAILED:
        case AUTH_STEP_WORK: /* not asked for */
        case AUTH_STEP_COUNT:
            printf("failed: %s\n", server_auth_error(auth));
            return 1;
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (argc < 4 || strlen(argv[1]) >= sizeof(addr.sun_path))
        return 2;
    strcpy(addr.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
        die(argv[1]);

    ScramCache *cache = NULL;
    ServerAuth *auth = NULL;
    Secret secret;
    ScramKeys keys;
    if (scram_cache_create(4, &cache) || secret_init(&secret, argv[3], strlen(argv[3])))
        return 2;
    if (argc > 4) {
        if (!secret.scram || strlen(argv[4]) != 2 * SCRAM_KEY_LEN)
            return 2;
        keys.verifier = *secret.scram;
        for (size_t i = 0; i < SCRAM_KEY_LEN; i++) {
            unsigned byte;
            if (sscanf(argv[4] + 2 * i, "%2x", &byte) != 1)
                return 2;
            keys.client_key[i] = (uint8_t)byte;
        }
    }
    ServerAuthSpec spec = {.user = argv[2], .secret = &secret, .scram_keys = argc > 4 ? &keys : NULL, .cache = cache};
    if (server_auth_create(&spec, &auth))
        return 2;

    PwBuf out;
    pw_buf_init(&out);
    size_t mark = pw_msg_begin(&out, 0);
    pw_buf_append_be32(&out, PW_PROTO_3_0);
    pw_buf_append_cstr(&out, "user");
    pw_buf_append_cstr(&out, argv[2]);
    pw_buf_append_cstr(&out, "database");
    pw_buf_append_cstr(&out, "postgres");
    pw_buf_append_u8(&out, 0);
    pw_msg_end(&out, mark);
    int rc = login(fd, auth, &out);
    pw_buf_finish(&out);
    server_auth_destroy(auth);
    secret_finish(&secret);
    scram_cache_destroy(cache);
    close(fd);
    return rc;
}
