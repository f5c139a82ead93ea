/* SPDX-License-Identifier: ISC */
/* peers.c - a line of [peers]: the id of a process of the group, and where it listens. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

#define PEER_ID_MAX 65535

void config_peer_destroy(PeerConf *peer)
{
    if (peer == NULL)
        return;
    pw_params_finish(&config_peer_params, peer);
    free(peer->name);
    free(peer);
}

static bool read_id(const char *name, int *ret_id)
{
    char *end;
    errno = 0;
    long id = strtol(name, &end, 10);
    if (errno != 0 || end == name || *end != '\0' || id < 1 || id > PEER_ID_MAX)
        return false;
    *ret_id = (int)id;
    return true;
}

void config_read_peer(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value)
{
    char subject[100];
    int id;
    (void)snprintf(subject, sizeof(subject), "peer \"%.60s\"", name);
    if (!read_id(name, &id)) {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, "the name of a line is the peer_id of that process",
                    "%s: not a number from 1 to %d", subject, PEER_ID_MAX);
        return;
    }
    PeerConf *peer = pw_xcalloc(1, sizeof(*peer));
    peer->name = pw_xasprintf("%d", id);
    peer->id = id;
    peer->file = at.file;
    peer->line = at.line;
    pw_params_init(&config_peer_params, peer);
    bool ok = config_read_pairs(loader, at, subject, value, &config_peer_params, peer);
    if (ok && peer->host == NULL) {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, "add host=ADDRESS or host=/FOLDER", "%s: no host", subject);
        ok = false;
    }
    if (ok)
        line_set_add(&loader->config->lines->peers, peer->name, peer);
    else
        config_peer_destroy(peer);
}
