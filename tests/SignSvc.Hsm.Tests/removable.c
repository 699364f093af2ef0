/*
 * The faulty module, told by a file instead of by calls, since the service is another process: while AWAY exists, the
 * token is pulled; while HANGS exists, signing does not return. Once that holds, the file HANGS.on is there.
 */
#include "faulty.c"
#include <fcntl.h>
#include <unistd.h>

static void *watch(void *unused)
{
    for (;;) {
        faulty_pull(access(AWAY, F_OK) == 0);
        int hangs = access(HANGS, F_OK) == 0;
        faulty_hang(hangs ? Sign : -1);
        if (hangs)
            close(open(HANGS ".on", O_WRONLY | O_CREAT, 0600));
        else
            unlink(HANGS ".on");
        usleep(10000);
    }
    return unused;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, watch, NULL);
}
