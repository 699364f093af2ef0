/*
 * The module's own speed: threads with a session each that do nothing but sign.
 *
 *   rawsign MODULE LABEL CKA_ID(hex) ecdsa|rsa THREADS SECONDS     with the PIN in PIN
 *
 * Prints signatures a second and the median latency in microseconds.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long word;
typedef word (*call)();
typedef struct { unsigned char major, minor; call f[68]; } list;
typedef struct { word type; void *value; word length; } attribute;
typedef struct { word type; void *parameter; word length; } mechanism;

enum { Initialize = 0, GetSlotList = 4, GetTokenInfo = 6, OpenSession = 12, Login = 18, FindObjectsInit = 26, FindObjects = 27,
       FindObjectsFinal = 28, SignInit = 42, Sign = 43, Most = 2000000 };

static list *module;
static word slot, kind;
static unsigned char id[64];
static word id_length;
static double seconds;
static pthread_barrier_t start;

typedef struct { double *times; size_t count; } result;

static void check(word rv, const char *what)
{
    if (rv) {
        fprintf(stderr, "%s answered 0x%lx\n", what, rv);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void *work(void *argument)
{
    result *mine = argument;
    word session, key, found, private_key = 3;
    attribute wanted[] = { { 0, &private_key, sizeof private_key }, { 0x102, id, id_length } };
    mechanism how = { kind, NULL, 0 };
    /* A DigestInfo of SHA-256 for RSA; its last 32 bytes are the digest. */
    unsigned char input[51] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
                                0x00, 0x04, 0x20 };
    unsigned char *data = kind == 1 ? input : input + 19;
    word length = kind == 1 ? 51 : 32;
    unsigned char signature[1024];

    check(module->f[OpenSession](slot, 4UL, NULL, NULL, &session), "C_OpenSession");
    check(module->f[FindObjectsInit](session, wanted, 2UL), "C_FindObjectsInit");
    check(module->f[FindObjects](session, &key, 1UL, &found), "C_FindObjects");
    check(module->f[FindObjectsFinal](session), "C_FindObjectsFinal");
    check(found != 1, "The search for the key");
    mine->times = malloc(Most / 8 * sizeof *mine->times);
    pthread_barrier_wait(&start);
    for (double began = now(), before = began, after; before - began < seconds && mine->count < Most / 8; before = after) {
        word room = sizeof signature;
        check(module->f[SignInit](session, &how, key), "C_SignInit");
        check(module->f[Sign](session, data, length, signature, &room), "C_Sign");
        after = now();
        mine->times[mine->count++] = after - before;
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    void *library = dlopen(argv[1], RTLD_NOW);
    word (*get)(list **) = library ? (word (*)(list **))dlsym(library, "C_GetFunctionList") : NULL;
    check(!get, argv[1]);
    check(get(&module), "C_GetFunctionList");
    void *arguments[6] = { 0 };
    arguments[4] = (void *)2; /* CKF_OS_LOCKING_OK */
    check(module->f[Initialize](arguments), "C_Initialize");
    word slots[64], count = 64, session;
    check(module->f[GetSlotList](1UL, slots, &count), "C_GetSlotList");
    int here = 0;
    for (word i = 0; i < count && !here; i++) {
        unsigned char info[512] = { 0 };
        check(module->f[GetTokenInfo](slots[i], info), "C_GetTokenInfo");
        slot = slots[i];
        here = memcmp(info, argv[2], strlen(argv[2])) == 0;
    }
    check(!here, "The search for the token");
    id_length = strlen(argv[3]) / 2;
    for (word i = 0; i < id_length; i++)
        sscanf(argv[3] + 2 * i, "%2hhx", &id[i]);
    kind = strcmp(argv[4], "rsa") == 0 ? 1 : 0x1041;
    int threads = atoi(argv[5]);
    seconds = atof(argv[6]);
    check(module->f[OpenSession](slot, 4UL, NULL, NULL, &session), "C_OpenSession");
    const char *pin = getenv("PIN");
    check(module->f[Login](session, 1UL, pin, (word)strlen(pin)), "C_Login");

    pthread_t ids[64];
    result results[64] = { 0 };
    pthread_barrier_init(&start, NULL, threads + 1);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, work, &results[i]);
    pthread_barrier_wait(&start);
    double began = now();
    size_t total = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        total += results[i].count;
    }
    /* Threads begin and end late on a busy machine. */
    double took = now() - began;
    double *all = malloc(total * sizeof *all);
    for (int i = 0, at = 0; i < threads; at += results[i++].count)
        memcpy(all + at, results[i].times, results[i].count * sizeof *all);
    qsort(all, total, sizeof *all, by_size);
    printf("%.1f %.1f\n", total / took, all[total / 2] * 1e6);
    return 0;
}
