/* SPDX-License-Identifier: ISC */
#include "pooler/app/notify.h"

#ifdef HAVE_SYSTEMD

#include "poolwise/time.h"

#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Without NOTIFY_SOCKET in the environment each of these does nothing. */
void notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void notify_took_over(void)
{
    (void)sd_notifyf(0, "READY=1\nMAINPID=%ld", (long)getpid());
}

void notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)pw_time_mono());
}

void notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

size_t notify_listen_fds(int *ret_fds, size_t most)
{
    int n = sd_listen_fds(1); /* and forgets it: children are not activated */
    size_t count = n > 0 ? (size_t)n : 0;
    if (count > most)
        count = most;
    for (size_t i = 0; i < count; i++)
        ret_fds[i] = SD_LISTEN_FDS_START + (int)i;
    return count;
}

#else

void notify_ready(void)
{
}

void notify_took_over(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

size_t notify_listen_fds(int *ret_fds, size_t most)
{
    (void)ret_fds;
    (void)most;
    return 0;
}

#endif
