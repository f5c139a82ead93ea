/* SPDX-License-Identifier: ISC */
/* An access file behind its ident file (the part before a line "---"); @files hold the input itself. Whatever they
 * hold, the rules are no more than the lines, and matching only answers what was asked. */
#include "pooler/config/hba.h"

#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t size;
    int reads;
} Input;

static bool read_again(void *arg, const char *path, PwBuf *ret_text)
{
    Input *in = arg;
    (void)path;
    if (in->reads++ > 20)
        return false; /* each @file may name itself several times */
    pw_buf_append(ret_text, in->data, in->size);
    return true;
}

static bool yes(void *arg, const char *name)
{
    (void)arg;
    return name[0] == 's';
}

static void ask(const Hba *hba, const char *db, const struct sockaddr *peer, bool flag)
{
    HbaQuery query = {.database = db, .user = "alice", .tls = flag, .physical_replication = !flag, .peer = peer};
    HbaAnswer answer;
    if (!hba_match(hba, &query, &answer))
        return;
    if (answer.line < 1 || answer.method >= AUTH_TYPE_COUNT)
        abort();
    if (answer.map)
        (void)ident_map_allows(answer.map, "alice", yes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PwDiag diags;
    const char *text = (const char *)data;
    const char *cut = size ? memmem(text, size, "\n---\n", 5) : NULL;
    size_t ident_n = cut ? (size_t)(cut - text) : 0;
    Input in = {data, size, 0};
    pw_diag_init(&diags);
    HbaSource source = {.name = "dir/fuzz",
                        .text = cut ? cut + 5 : text,
                        .n = cut ? size - ident_n - 5 : size,
                        .ident = ident_parse("ident", text, ident_n, &diags),
                        .read = read_again,
                        .arg = &in};
    Hba *hba = hba_parse(&source, &diags);
    if (hba_n_rules(hba) > source.n)
        abort();
    struct sockaddr local = {.sa_family = AF_UNIX};
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    for (int flag = 0; flag < 2; flag++) {
        ask(hba, "alice", &local, flag);
        ask(hba, "db", (struct sockaddr *)&in4, flag);
        ask(hba, "", (struct sockaddr *)&in6, flag);
    }
    hba_unref(hba);
    pw_diag_finish(&diags);
    return 0;
}
