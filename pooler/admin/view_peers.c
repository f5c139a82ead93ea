/* SPDX-License-Identifier: ISC */
/* view_peers.c - SHOW PEERS, PEER_POOLS: the processes of the group; we send nothing to ourselves. */
#include "pooler/admin/admin_priv.h"
#include "pooler/client/peer_pool.h"

static const AdminColumn peer_columns[] = {
    {"peer_id", ADMIN_INT4, "number of the peer"},
    {"host", ADMIN_TEXT, "its host"},
    {"port", ADMIN_INT4, "its port"},
    {"pool_size", ADMIN_INT4, "cancel requests to it that may be under way at once"},
};

static const AdminColumn peer_pool_columns[] = {
    {"peer_id", ADMIN_INT4, "number of the peer"},
    {"cl_active_cancel_req", ADMIN_INT4, "cancel requests that are being passed on to it"},
    {"cl_waiting_cancel_req", ADMIN_INT4, "cancel requests that wait for their turn"},
    {"sv_active_cancel", ADMIN_INT4, "connections to it that have sent their request"},
    {"sv_login", ADMIN_INT4, "connections to it that are being made"},
};

/* Calls `row` for each line of [peers]. */
static void each_peer(const Config *config, bool others_only, AdminResult *r,
                      void (*row)(AdminResult *r, const Config *config, const PeerConf *peer))
{
    for (size_t i = 0; i < config_n_peers(config); i++) {
        const PeerConf *peer = config_peer_at(config, i);
        if (others_only && peer->id == config->peer_id)
            continue;
        admin_row_begin(r, NULL);
        admin_row_int(r, peer->id);
        row(r, config, peer);
        admin_row_end(r);
    }
}

int64_t admin_count_peer_pools(const Config *config)
{
    int64_t n = 0;
    for (size_t i = 0; i < config_n_peers(config); i++)
        n += config_peer_at(config, i)->id != config->peer_id;
    return n;
}

static void peer_row(AdminResult *r, const Config *config, const PeerConf *peer)
{
    admin_row_text(r, peer->host);
    admin_row_int(r, peer->port);
    admin_row_int(r, peer->pool_size >= 0 ? peer->pool_size : config->default_pool_size);
}

static void finish_peers(WorkerCtx *ctx, AdminShow *show)
{
    each_peer(ctx->config, false, &show->result, peer_row);
}

static void pool_row(AdminResult *r, const Config *config, const PeerConf *peer)
{
    (void)config;
    PeerPoolCounts n = peer_pool_counts(peer->id);
    admin_row_int(r, n.cl_active);
    admin_row_int(r, n.cl_waiting);
    admin_row_int(r, n.sv_active);
    admin_row_int(r, n.sv_login);
}

/* The pools are the main worker's, so the rows are made when it is visited. */
static void visit_pools(WorkerCtx *ctx, AdminShow *show)
{
    if (ctx->worker->index == 0)
        each_peer(ctx->config, true, &show->result, pool_row);
}

const AdminView admin_view_peers = {
    .name = "peers", .columns = peer_columns, .n_columns = PW_ARRAY_LEN(peer_columns), .finish = finish_peers,
    .help = "the processes of the group, as [peers] has them",
};
const AdminView admin_view_peer_pools = {
    .name = "peer_pools", .columns = peer_pool_columns, .n_columns = PW_ARRAY_LEN(peer_pool_columns), .visit = visit_pools,
    .help = "cancel requests on their way to other processes of the group",
};
