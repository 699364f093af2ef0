/*
 * The faulty module, whose counts of calls another process reads while they are made: in the file COUNTS, a 32-bit number for
 * each function of CK_FUNCTION_LIST.
 */
#include "faulty.c"
#include <fcntl.h>
#include <sys/mman.h>

__attribute__((constructor)) static void begin(void)
{
    int file = open(COUNTS, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof own_calls) != 0)
        abort();
    void *shared = mmap(NULL, sizeof own_calls, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        abort();
    calls = shared;
    close(file);
}
