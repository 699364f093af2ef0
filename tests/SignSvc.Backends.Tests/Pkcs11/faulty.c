/*
 * A PKCS#11 module that passes everything on to a real one (REAL_MODULE) and misbehaves on command: fails, hangs, loses
 * its token or its sessions. Session handles are its own, and the lowest free number is given out again, as some
 * vendors' modules do.
 *
 * Two callers who believe the same session to be theirs get through one after the other, as CKF_OS_LOCKING_OK promises;
 * SoftHSM2, which never gives a number out twice, ends the process instead when both are inside C_Sign.
 *
 * Calls hold the gate for reading; what works on the sessions holds it for writing. Between faulty_stop_calls and
 * faulty_go_on no call gets through at all, so that the token can be worked on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*call)(word, word, word, word, word, word, word, word);
typedef struct { unsigned char major, minor; call f[68]; } list;

enum { Initialize = 0, GetFunctionList = 3, GetSlotList = 4, GetTokenInfo = 6, OpenSession = 12, CloseSession = 13, CloseAllSessions = 14,
       Login = 18, Logout = 19, FindObjects = 27, SignInit = 42, Sign = 43, MostSessions = 4096 };
enum { CKR_OK = 0, CKR_SESSION_COUNT = 0xB1, CKR_SESSION_HANDLE_INVALID = 0xB3, CKR_TOKEN_NOT_PRESENT = 0xE0,
       CKR_DEVICE_REMOVED = 0x32 };

static list *real, mine;
static pthread_rwlock_t gate = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER, hang = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unhang = PTHREAD_COND_INITIALIZER;
static pthread_cond_t going_on = PTHREAD_COND_INITIALIZER;
static int stopped;
static word sessions[MostSessions];
static pthread_mutex_t in_session[MostSessions]; /* All zero is PTHREAD_MUTEX_INITIALIZER on Linux. */
static atomic_int hanging = -1, absent, session_limit = MostSessions;
static _Atomic word fail_rv[68];
static atomic_int fail_count[68], pass_count[68];
static atomic_int hidden;
static _Atomic word token_flags;
static atomic_int per_mille;
static atomic_int delay_us;
static _Atomic unsigned own_calls[68], *calls = own_calls, injected, seed = 12345;

static const word random_rv[] = { 0x30 /* DEVICE_ERROR */, 0xB3 /* SESSION_HANDLE_INVALID */, 0x101 /* USER_NOT_LOGGED_IN */,
                                  0x82 /* OBJECT_HANDLE_INVALID */, 0x5 /* GENERAL_ERROR */, 0xE0 /* TOKEN_NOT_PRESENT */,
                                  0x32 /* DEVICE_REMOVED */, 0x90 /* OPERATION_ACTIVE */ };

static word misbehave(int n)
{
    calls[n]++;
    if (n == Sign && delay_us > 0)
        usleep(delay_us);
    if (hanging == n) {
        pthread_mutex_lock(&hang);
        while (hanging == n)
            pthread_cond_wait(&unhang, &hang);
        pthread_mutex_unlock(&hang);
    }
    if (pass_count[n] > 0 && atomic_fetch_sub(&pass_count[n], 1) > 0)
        return CKR_OK;
    if (fail_count[n] > 0 && atomic_fetch_sub(&fail_count[n], 1) > 0) {
        injected++;
        return fail_rv[n];
    }
    if (per_mille > 0 && (n == SignInit || n == Sign)) {
        unsigned x = atomic_fetch_add(&seed, 0x9E3779B9u);
        x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
        if ((int)(x % 1000) < per_mille) {
            injected++;
            return random_rv[(x >> 12) % (sizeof random_rv / sizeof *random_rv)];
        }
    }
    return CKR_OK;
}

static void enter(void)
{
    for (;;) {
        pthread_rwlock_rdlock(&gate);
        if (!stopped)
            return;
        pthread_rwlock_unlock(&gate);
        pthread_mutex_lock(&hang);
        while (stopped)
            pthread_cond_wait(&going_on, &hang);
        pthread_mutex_unlock(&hang);
    }
}

static word on_module(int n, word a, word b, word c, word d, word e, word f, word g, word h)
{
    word rv = misbehave(n);
    if (rv != CKR_OK)
        return rv;
    if (n == Initialize && hidden == 2)
        hidden = 0;
    if (absent && n == GetTokenInfo)
        return CKR_TOKEN_NOT_PRESENT;
    enter();
    rv = real->f[n](a, b, c, d, e, f, g, h);
    pthread_rwlock_unlock(&gate);
    if (n == GetTokenInfo && rv == CKR_OK)
        *(word *)((char *)b + 96) |= token_flags; /* Behind label, manufacturer, model and serial number. */
    return rv;
}

static word on_session(int n, word s, word b, word c, word d, word e, word f, word g, word h)
{
    word rv = misbehave(n), inner;
    if (rv != CKR_OK)
        return rv;
    if (absent)
        return CKR_DEVICE_REMOVED;
    if (s == 0 || s >= MostSessions)
        return CKR_SESSION_HANDLE_INVALID;
    enter();
    pthread_mutex_lock(&in_session[s]);
    inner = sessions[s];
    rv = inner ? real->f[n](inner, b, c, d, e, f, g, h) : CKR_SESSION_HANDLE_INVALID;
    if (inner && n == CloseSession)
        sessions[s] = 0;
    if (n == FindObjects && hidden && rv == CKR_OK)
        *(word *)d = 0;
    pthread_mutex_unlock(&in_session[s]);
    pthread_rwlock_unlock(&gate);
    return rv;
}

static word open_session(word slot, word flags, word app, word notify, word *handle, word f, word g, word h)
{
    word rv = misbehave(OpenSession), inner, i, open = 0;
    if (rv != CKR_OK)
        return rv;
    if (absent)
        return CKR_TOKEN_NOT_PRESENT;
    enter();
    pthread_mutex_lock(&table);
    for (i = 1; i < MostSessions; i++)
        open += sessions[i] != 0;
    rv = (int)open >= session_limit ? CKR_SESSION_COUNT : real->f[OpenSession](slot, flags, app, notify, (word)&inner, f, g, h);
    for (i = 1; rv == CKR_OK; i++) {
        if (!sessions[i]) {
            sessions[i] = inner;
            *handle = i;
            break;
        }
    }
    pthread_mutex_unlock(&table);
    pthread_rwlock_unlock(&gate);
    return rv;
}

static word slot_list(word present, word *slots, word *count, word d, word e, word f, word g, word h)
{
    word rv = on_module(GetSlotList, present, (word)slots, (word)count, d, e, f, g, h);
    if (absent && rv == CKR_OK)
        *count = 0;
    return rv;
}

#define M(n) static word m##n(word a, word b, word c, word d, word e, word f, word g, word h) { return on_module(n, a, b, c, d, e, f, g, h); }
#define S(n) static word s##n(word a, word b, word c, word d, word e, word f, word g, word h) { return on_session(n, a, b, c, d, e, f, g, h); }
M(0) M(1) M(2) M(5) M(6) M(7) M(8)
S(13) S(15) S(18) S(19) S(20) S(22) S(24) S(25) S(26) S(27) S(28) S(29) S(30) S(33) S(34) S(42) S(43) S(58) S(59) S(60) S(61)

word C_GetFunctionList(list **out)
{
    if (!real) {
        void *module = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL);
        word (*get)(list **) = module ? (word (*)(list **))dlsym(module, "C_GetFunctionList") : NULL;
        if (!get || get(&real) != CKR_OK)
            return 5;
        mine = *real;
        mine.f[GetFunctionList] = (call)C_GetFunctionList;
        mine.f[GetSlotList] = (call)slot_list;
        mine.f[OpenSession] = (call)open_session;
#define SET_M(n) mine.f[n] = m##n;
#define SET_S(n) mine.f[n] = s##n;
        SET_M(0) SET_M(1) SET_M(2) SET_M(5) SET_M(6) SET_M(7) SET_M(8)
        SET_S(13) SET_S(15) SET_S(18) SET_S(19) SET_S(20) SET_S(22) SET_S(24) SET_S(25) SET_S(26) SET_S(27) SET_S(28)
        SET_S(29) SET_S(30) SET_S(33) SET_S(34) SET_S(42) SET_S(43) SET_S(58) SET_S(59) SET_S(60) SET_S(61)
    }
    *out = &mine;
    return CKR_OK;
}

/* The next count calls of function n answer rv. */
void faulty_fail(int n, word rv, int count) { fail_rv[n] = rv; pass_count[n] = 0; fail_count[n] = count; }

/* The same, after so many that get through. */
void faulty_fail_after(int n, int passed, word rv, int count) { faulty_fail(n, rv, count); pass_count[n] = passed; }

/* What CK_TOKEN_INFO.flags shows besides the token's own. */
void faulty_token_flags(word flags) { token_flags = flags; }

/* The objects of the token are not found: its sessions live on, as SoftHSM2's do when its folder is moved away. */
void faulty_hide(int hide) { hidden = hide; } /* 2: until C_Initialize. */

/* So many of a thousand calls to C_SignInit and C_Sign answer something out of random_rv. */
void faulty_random(int rate) { per_mille = rate; }

/* Calls of function n do not return until it is called again with another. */
void faulty_hang(int n)
{
    pthread_mutex_lock(&hang);
    hanging = n;
    pthread_cond_broadcast(&unhang);
    pthread_mutex_unlock(&hang);
}

/* The token is pulled: its sessions are gone, its slot is empty. */
void faulty_pull(int pulled)
{
    pthread_rwlock_wrlock(&gate);
    absent = pulled;
    for (word i = 1; pulled && i < MostSessions; i++) {
        if (sessions[i])
            real->f[CloseSession](sessions[i], 0, 0, 0, 0, 0, 0, 0);
        sessions[i] = 0;
    }
    pthread_rwlock_unlock(&gate);
}

/* One session is closed behind its owner's back; its number is free for the next one. */
void faulty_evict(word s)
{
    pthread_rwlock_wrlock(&gate);
    if (sessions[s])
        real->f[CloseSession](sessions[s], 0, 0, 0, 0, 0, 0, 0);
    sessions[s] = 0;
    pthread_rwlock_unlock(&gate);
}

void faulty_logout(void)
{
    pthread_rwlock_wrlock(&gate);
    for (word i = 1; i < MostSessions; i++) {
        if (sessions[i]) {
            real->f[Logout](sessions[i], 0, 0, 0, 0, 0, 0, 0);
            break;
        }
    }
    pthread_rwlock_unlock(&gate);
}

/* Nothing is inside the real module until faulty_go_on, and it is finalised meanwhile: other programs may rework the token. */
void faulty_stop_calls(void)
{
    pthread_rwlock_wrlock(&gate);
    real->f[1](0, 0, 0, 0, 0, 0, 0, 0);
    for (word i = 1; i < MostSessions; i++)
        sessions[i] = 0;
    stopped = 1;
    pthread_rwlock_unlock(&gate);
}

void faulty_go_on(void)
{
    struct { void *mutex[4]; word flags; void *reserved; } args = { { 0 }, 2, 0 };
    pthread_rwlock_wrlock(&gate);
    real->f[0]((word)&args, 0, 0, 0, 0, 0, 0, 0);
    pthread_rwlock_unlock(&gate);
    pthread_mutex_lock(&hang);
    stopped = 0;
    pthread_cond_broadcast(&going_on);
    pthread_mutex_unlock(&hang);
}

/* C_Sign takes so much longer without using the processor, like an HSM on a network. */
void faulty_delay(int microseconds) { delay_us = microseconds; }

void faulty_limit_sessions(int most) { session_limit = most; }

unsigned faulty_calls(int n) { return calls[n]; }

unsigned faulty_injected(void) { return injected; }

int faulty_sessions(void)
{
    int open = 0;
    for (word i = 1; i < MostSessions; i++)
        open += sessions[i] != 0;
    return open;
}
