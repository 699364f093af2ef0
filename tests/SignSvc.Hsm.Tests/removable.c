/*
 * The faulty module, told by a file instead of by calls, since the service is another process: while AWAY exists, the
 * token is pulled; while HANGS exists, signing does not return.
 */
#include "faulty.c"
#include <unistd.h>

static void *watch(void *unused)
{
    for (;;) {
        faulty_pull(access(AWAY, F_OK) == 0);
        faulty_hang(access(HANGS, F_OK) == 0 ? Sign : -1);
        usleep(10000);
    }
    return unused;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, watch, NULL);
}
