/* SPDX-License-Identifier: ISC */
/* Real sockets: TCP on ports that the kernel chooses, unix sockets in a directory of the test. */
#include "pooler/net/listener.h"

#include "poolwise/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char log_path[96];
static struct event_base *base;

typedef struct Accepted {
    int fds[256];
    NetAddr peers[256];
    bool is_unix[256];
    int count;
    Listener *suspend_at_once; /* what a callback may do to its listener */
    Listener *close_tcp_at_once;
    int enough; /* says so after each so many; 0: never */
} Accepted;

static bool on_accept(void *arg, int fd, const NetAddr *peer, bool is_unix)
{
    Accepted *a = arg;
    assert_true(a->count < 256);
    a->fds[a->count] = fd;
    a->peers[a->count] = *peer;
    a->is_unix[a->count] = is_unix;
    a->count++;
    if (a->suspend_at_once != NULL)
        listener_suspend(a->suspend_at_once);
    if (a->close_tcp_at_once != NULL)
        listener_close_tcp(a->close_tcp_at_once);
    return a->enough == 0 || a->count % a->enough != 0;
}

static void close_accepted(Accepted *a)
{
    for (int i = 0; i < a->count; i++)
        close(a->fds[i]);
    a->count = 0;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* Runs the loop until `want` connections were accepted; fails the test after ten seconds. */
static void run_until(Accepted *a, int want)
{
    bool over = false;
    struct event *deadline = event_new(base, -1, 0, on_deadline, &over);
    const struct timeval limit = {.tv_sec = 10};
    event_add(deadline, &limit);
    while (a->count < want && !over)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(deadline);
    assert_false(over);
}

/* Everything that is ready now. */
static void run_ready(void)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pw-listen-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(log_path, sizeof(log_path), "%s/log", dir);
    PwLogTarget target = {.file = log_path};
    assert_int_equal(pw_log_configure(&target), PW_OK);
    base = event_base_new();
    return base == NULL;
}

static int teardown(void **state)
{
    (void)state;
    event_base_free(base);
    PwLogTarget target = {.to_stderr = true};
    assert_int_equal(pw_log_configure(&target), PW_OK);
    char cmd[160];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

/* How often the log holds the text. */
static int logged(const char *text)
{
    char buf[16384];
    FILE *f = fopen(log_path, "r");
    assert_non_null(f);
    buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
    fclose(f);
    int n = 0;
    for (const char *at = buf; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static Listener *must_open(const ListenerOptions *o)
{
    Listener *l = NULL;
    char why[256] = "";
    if (listener_open(o, &l, why, sizeof(why)) != PW_OK)
        fail_msg("%s", why);
    return l;
}

static PwErr open_fails(const ListenerOptions *o, char *why, size_t size)
{
    Listener *l = NULL;
    PwErr err = listener_open(o, &l, why, size);
    assert_null(l);
    return err;
}

static int connect_to(const NetAddr *addr)
{
    int fd = socket(net_addr_family(addr), SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, net_addr_sa(addr), addr->len), 0);
    return fd;
}

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_tcp(void **state)
{
    (void)state;
    ListenerOptions o = {
        .listen_addr = " 127.0.0.1 ,localhost",
        .listen_backlog = 16,
        .tune = {.tcp_keepalive = true, .tcp_keepidle = 77, .tcp_user_timeout = 5000},
    };
    Listener *l = must_open(&o);
    assert_true(listener_count(l) >= 1);
    const NetAddr *addr = listener_addr(l, 0);
    assert_int_equal(net_addr_family(addr), AF_INET);
    assert_int_not_equal(net_addr_port(addr), 0);
    char where[NET_ADDR_TEXT], line[NET_ADDR_TEXT + 32];
    snprintf(line, sizeof(line), "LOG listening on %s\n",
             net_addr_where(addr, where, sizeof(where)));
    assert_int_equal(logged(line), 1);

    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int client = connect_to(addr);
    run_until(&a, 1);
    assert_false(a.is_unix[0]);
    NetAddr local;
    assert_int_equal(net_addr_of_local(client, &local), PW_OK);
    assert_true(net_addr_equal(&local, &a.peers[0]));
    int fd = a.fds[0];
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);

    /* RELOAD: later connections follow. */
    NetTune none = {0};
    listener_set_tune(l, &none, true);
    assert_true(get_int(listener_fd(l, 0), IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
    listener_set_tune(l, &none, false);
    assert_int_equal(get_int(listener_fd(l, 0), IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    int second = connect_to(addr);
    run_until(&a, 2);
    assert_int_equal(get_int(a.fds[1], SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(get_int(a.fds[1], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    assert_int_equal(get_int(a.fds[1], IPPROTO_TCP, TCP_NODELAY), 1);

    /* What is not set is the system's again, not what it was before. */
    NetTune alive = {.tcp_keepalive = true, .tcp_keepcnt = 3};
    listener_set_tune(l, &alive, false);
    int third = connect_to(addr), fresh = socket(AF_INET, SOCK_STREAM, 0);
    run_until(&a, 3);
    assert_int_equal(get_int(a.fds[2], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(get_int(a.fds[2], IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(get_int(a.fds[2], IPPROTO_TCP, TCP_KEEPIDLE),
                     get_int(fresh, IPPROTO_TCP, TCP_KEEPIDLE));
    close(fresh);
    close(third);

    close(client);
    close(second);
    close_accepted(&a);
    listener_destroy(l);
}

/* on_accept says when it has had enough: the others wait for the next turn of the loop, and none is lost. */
static void test_a_few_at_a_time(void **state)
{
    (void)state;
    ListenerOptions o = {.listen_addr = "127.0.0.1", .listen_backlog = 64};
    Listener *l = must_open(&o);
    Accepted a = {.enough = 3};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int clients[10];
    for (int i = 0; i < 10; i++)
        clients[i] = connect_to(listener_addr(l, 0));
    const int after[] = {3, 6, 9, 10};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
        assert_int_equal(a.count, after[i]);
        assert_int_equal(get_int(a.fds[a.count - 1], IPPROTO_TCP, TCP_NODELAY), 1);
    }
    for (int i = 0; i < 10; i++)
        close(clients[i]);
    close_accepted(&a);
    listener_destroy(l);
}

static void test_socket_buffer(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    NetTune tune = {
        .tcp_socket_buffer = 32768, .tcp_keepalive = true, .tcp_keepintvl = 9, .tcp_keepcnt = 4};
    assert_int_equal(net_socket_tune(fd, &tune), PW_OK);
    assert_int_equal(get_int(fd, SOL_SOCKET, SO_SNDBUF), 2 * 32768); /* the kernel doubles it */
    assert_int_equal(get_int(fd, SOL_SOCKET, SO_RCVBUF), 2 * 32768);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL), 9);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    /* One that the kernel refuses is told, the others are set. */
    NetTune bad = {.tcp_keepalive = true, .tcp_keepcnt = 100000, .tcp_user_timeout = 4321};
    assert_int_equal(net_socket_tune(fd, &bad), PW_ERR_IO);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
    close(fd);
    assert_int_equal(net_socket_tune(fd, &tune), PW_ERR_IO);
}

static void test_some_addresses_fail(void **state)
{
    (void)state;
    ListenerOptions o = {.listen_addr = "192.0.2.1,127.0.0.1,no-such-name.invalid",
                         .listen_backlog = 16};
    Listener *l = must_open(&o);
    assert_int_equal(listener_count(l), 1);
    assert_int_equal(logged("WARNING cannot listen on 192.0.2.1:0: bind(): "), 1);
    assert_int_equal(logged("WARNING cannot listen on \"no-such-name.invalid\": "), 1);

    /* The port is taken: nothing of this list works. */
    ListenerOptions same = {.listen_addr = "127.0.0.1, 192.0.2.1",
                            .listen_port = net_addr_port(listener_addr(l, 0)),
                            .unix_socket_dir = dir,
                            .listen_backlog = 16};
    char why[256] = "";
    assert_int_equal(open_fails(&same, why, sizeof(why)), PW_ERR_IO);
    assert_string_equal(why, "none of the addresses in listen_addr = 127.0.0.1, 192.0.2.1 works");
    listener_destroy(l);
}

static void test_nowhere(void **state)
{
    (void)state;
    char why[256] = "";
    ListenerOptions none = {.listen_addr = "", .listen_backlog = 16};
    assert_int_equal(open_fails(&none, why, sizeof(why)), PW_ERR_NOT_FOUND);
    assert_string_equal(why, "nowhere to listen on, set listen_addr or unix_socket_dir");
}

static bool kernel_has_v6(void)
{
    NetAddr addr;
    assert_int_equal(net_addr_parse_ip("::1", 0, &addr), PW_OK);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, net_addr_sa(&addr), addr.len) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

/* '*' means both families where the kernel has both, on one port. */
static void test_any(void **state)
{
    (void)state;
    ListenerOptions probe = {.listen_addr = "127.0.0.1", .listen_backlog = 16};
    Listener *l = must_open(&probe);
    uint16_t port = net_addr_port(listener_addr(l, 0));
    listener_destroy(l);

    ListenerOptions o = {.listen_addr = "*", .listen_port = port, .listen_backlog = 16};
    l = must_open(&o);
    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    NetAddr addr;
    bool has_v6 = kernel_has_v6();
    int v6 = -1;
    if (has_v6) {
        assert_int_equal(net_addr_parse_ip("::1", port, &addr), PW_OK);
        v6 = connect_to(&addr);
    }
    assert_int_equal(net_addr_parse_ip("127.0.0.1", port, &addr), PW_OK);
    int v4 = connect_to(&addr);
    run_until(&a, has_v6 ? 2 : 1);
    assert_int_equal(listener_count(l), has_v6 ? 2 : 1);
    close(v4);
    if (v6 >= 0)
        close(v6);
    close_accepted(&a);
    listener_destroy(l);
    if (!has_v6)
        print_message("no IPv6 here: only IPv4 was tried\n");
}

static void test_reuseport(void **state)
{
    (void)state;
    ListenerOptions o = {.listen_addr = "127.0.0.1", .listen_backlog = 16, .so_reuseport = true};
    Listener *first = must_open(&o);
    o.listen_port = net_addr_port(listener_addr(first, 0));
    Listener *second = must_open(&o);
    assert_int_equal(listener_count(second), 1);
    listener_destroy(first);
    listener_destroy(second);
}

static void test_unix(void **state)
{
    (void)state;
    ListenerOptions o = {.unix_socket_dir = dir,
                         .listen_port = 7777,
                         .unix_socket_mode = 0700,
                         .listen_backlog = 16};
    Listener *l = must_open(&o);
    char path[160];
    snprintf(path, sizeof(path), "%s/.s.PGSQL.7777", dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0700);

    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int client = connect_to(listener_addr(l, 0));
    run_until(&a, 1);
    assert_true(a.is_unix[0]);
    assert_true(net_addr_is_unix(&a.peers[0]));
    assert_int_equal(a.peers[0].unix_pid, getpid());
    char text[NET_ADDR_TEXT], expect[64];
    snprintf(expect, sizeof(expect), "unix(%d):7777", (int)getpid());
    assert_string_equal(net_addr_text(&a.peers[0], text, sizeof(text)), expect);

    /* A second one must not take it away. */
    char why[256] = "";
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_EXISTS);
    assert_non_null(strstr(why, "unix socket is in use, cannot continue (hint: another process listens on /"));
    assert_int_equal(stat(path, &st), 0);
    close(client);
    close_accepted(&a);
    listener_destroy(l);
    assert_int_equal(stat(path, &st), -1);
}

static void test_unix_group(void **state)
{
    (void)state;
    char gid[24], why[256] = "";
    snprintf(gid, sizeof(gid), "%u", (unsigned)getegid());
    ListenerOptions o = {.unix_socket_dir = dir,
                         .listen_port = 7777,
                         .unix_socket_mode = 0770,
                         .unix_socket_group = gid,
                         .listen_backlog = 16};
    listener_destroy(must_open(&o));
    o.unix_socket_group = "no-such-group";
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_NOT_FOUND);
    assert_string_equal(why, "unix_socket_group \"no-such-group\" does not exist");
    char path[160];
    snprintf(path, sizeof(path), "%s/.s.PGSQL.7777", dir);
    assert_int_equal(access(path, F_OK), -1); /* no half-made socket stays */
}

/* What a killed process left behind is replaced; what is no socket is not touched. */
static void test_unix_stale(void **state)
{
    (void)state;
    NetAddr addr;
    assert_int_equal(net_addr_in_unix_dir(dir, 7777, &addr), PW_OK);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, net_addr_sa(&addr), addr.len), 0);
    close(dead);

    ListenerOptions o = {.unix_socket_dir = dir,
                         .listen_port = 7777,
                         .unix_socket_mode = 0777,
                         .listen_backlog = 16};
    Listener *l = must_open(&o);
    close(connect_to(&addr));
    listener_destroy(l);

    char path[160], why[256] = "";
    snprintf(path, sizeof(path), "%s/.s.PGSQL.7777", dir);
    FILE *f = fopen(path, "w");
    fputs("precious", f);
    fclose(f);
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_IO);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 8);
}

/* Whoever took our place keeps his socket when we end. */
static void test_unix_successor(void **state)
{
    (void)state;
    ListenerOptions o = {.unix_socket_dir = dir,
                         .listen_port = 7777,
                         .unix_socket_mode = 0777,
                         .listen_backlog = 16};
    Listener *old = must_open(&o);
    char path[160];
    snprintf(path, sizeof(path), "%s/.s.PGSQL.7777", dir);
    assert_int_equal(unlink(path), 0);
    Listener *new = must_open(&o);
    listener_destroy(old);
    close(connect_to(listener_addr(new, 0)));
    listener_destroy(new);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_unix_errors(void **state)
{
    (void)state;
    char why[256] = "", longer[200];
    ListenerOptions o = {
        .unix_socket_dir = "/nonexistent", .listen_port = 7777, .listen_backlog = 16};
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_IO);
    assert_string_equal(why, "cannot listen on unix:/nonexistent/.s.PGSQL.7777: bind(): "
                             "No such file or directory (hint: make the folder, or set unix_socket_dir to another one)");
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[150] = '\0';
    o.unix_socket_dir = longer;
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_TOO_LARGE);
}

static void test_abstract(void **state)
{
    (void)state;
    char name[64], why[256] = "";
    snprintf(name, sizeof(name), "@poolwise-test-%d", (int)getpid());
    ListenerOptions o = {.unix_socket_dir = name,
                         .listen_port = 7777,
                         .unix_socket_mode = 0777,
                         .listen_backlog = 16};
    Listener *l = must_open(&o);
    assert_int_equal(open_fails(&o, why, sizeof(why)), PW_ERR_EXISTS);
    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int client = connect_to(listener_addr(l, 0));
    run_until(&a, 1); /* the probe of the second open may come first */
    close(client);
    close_accepted(&a);
    listener_destroy(l);
}

static void test_suspend_and_close(void **state)
{
    (void)state;
    ListenerOptions o = {.listen_addr = "127.0.0.1",
                         .unix_socket_dir = dir,
                         .listen_port = 0,
                         .unix_socket_mode = 0777,
                         .listen_backlog = 16};
    Listener *l = must_open(&o);
    assert_int_equal(listener_count(l), 2);
    NetAddr tcp = *listener_addr(l, 0), local = *listener_addr(l, 1);
    Accepted a = {0};
    listener_suspend(l); /* also before the start */
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int c1 = connect_to(&tcp), c2 = connect_to(&tcp), c3 = connect_to(&local);
    run_ready();
    assert_int_equal(a.count, 0);

    /* The callback suspends: the second connection of the same batch must stay in the queue. */
    a.suspend_at_once = l;
    listener_resume(l);
    listener_resume(l);
    run_until(&a, 1);
    run_ready();
    assert_int_equal(a.count, 1);
    a.suspend_at_once = NULL;
    listener_resume(l);
    run_until(&a, 3);

    /* The callback closes the socket that it was called for. */
    a.close_tcp_at_once = l;
    int c4 = connect_to(&tcp);
    run_until(&a, 4);
    run_ready();
    assert_int_equal(listener_count(l), 1);
    assert_true(net_addr_is_unix(listener_addr(l, 0)));
    int c5 = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(c5, net_addr_sa(&tcp), tcp.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    int c6 = connect_to(&local); /* the console's way in stays */
    run_until(&a, 5);
    close(c1), close(c2), close(c3), close(c4), close(c5), close(c6);
    close_accepted(&a);
    listener_destroy(l);
}

/* More connections than a batch, and none is lost. */
static void test_storm(void **state)
{
    (void)state;
    enum { MANY = 200 };
    ListenerOptions o = {.listen_addr = "127.0.0.1", .listen_backlog = 256};
    Listener *l = must_open(&o);
    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int clients[MANY];
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(listener_addr(l, 0));
    run_until(&a, MANY);
    for (int i = 0; i < MANY; i++)
        close(clients[i]);
    close_accepted(&a);
    listener_destroy(l);
}

static void count_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (*(int *)arg)++;
}

/* Without descriptors it pauses (no spinning), says so once, and goes on when some are free. */
static void test_starved(void **state)
{
    (void)state;
    ListenerOptions o = {.listen_addr = "127.0.0.1", .listen_backlog = 16};
    Listener *l = must_open(&o);
    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int client = connect_to(listener_addr(l, 0));
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit tight = {.rlim_cur = 3, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);

    /* 350 ms: the first try and three retries; each turn of the loop is counted. */
    int turns = 0, ticks = 0;
    struct event *tick = event_new(base, -1, 0, count_turn, &ticks);
    const struct timeval wait = {.tv_usec = 350000};
    event_add(tick, &wait);
    while (ticks == 0) {
        event_base_loop(base, EVLOOP_ONCE);
        turns++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    event_free(tick);
    assert_int_equal(a.count, 0);
    assert_in_range(turns, 2, 12);
    assert_int_equal(
        logged("WARNING cannot accept connections: Too many open files, trying again every 100 ms (hint: raise the limit of open files"),
        1);
    assert_int_equal(logged("connections are accepted again"), 0);

    run_until(&a, 1);
    assert_int_equal(logged("LOG connections are accepted again"), 1);
    close(client);
    close_accepted(&a);
    listener_destroy(l);
}

static void test_inherited(void **state)
{
    (void)state;
    ListenerOptions first = {.listen_addr = "127.0.0.1", .listen_backlog = 16};
    Listener *original = must_open(&first);
    int fd = dup(listener_fd(original, 0));
    NetAddr addr = *listener_addr(original, 0);
    listener_destroy(original);

    ListenerOptions o = {.listen_addr = "192.0.2.1", .inherited = &fd, .inherited_count = 1};
    Listener *l = must_open(&o);
    assert_int_equal(logged("WARNING sockets were passed by the service manager"), 1);
    Accepted a = {0};
    assert_int_equal(listener_start(l, base, on_accept, &a), PW_OK);
    int client = connect_to(&addr);
    run_until(&a, 1);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(client);
    close_accepted(&a);
    listener_destroy(l);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_tcp),
        CASE(test_a_few_at_a_time),
        CASE(test_socket_buffer),
        CASE(test_some_addresses_fail),
        CASE(test_nowhere),
        CASE(test_any),
        CASE(test_reuseport),
        CASE(test_unix),
        CASE(test_unix_group),
        CASE(test_unix_stale),
        CASE(test_unix_successor),
        CASE(test_unix_errors),
        CASE(test_abstract),
        CASE(test_suspend_and_close),
        CASE(test_storm),
        CASE(test_starved),
        CASE(test_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
