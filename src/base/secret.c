/* secret.c - 256-bit secrets and randomness. */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

/* An arena is a few pages, cut into slots; a secret takes as many slots as it needs, one behind the
 * other. So that many small secrets do not cost a locked page each: the limit may be 64 KiB. */
#define ARENA_SIZE ((size_t)16 * 1024)
#define SLOT_SIZE  ((size_t)64)
#define SLOTS      (ARENA_SIZE / SLOT_SIZE)

typedef struct Arena Arena;
struct Arena {
    Arena *next;
    uint8_t *memory;
    size_t size;           /* ARENA_SIZE, or that of one large secret */
    uint16_t taken[SLOTS]; /* slots of the secret that begins here; 0: none does */
};

static pthread_mutex_t arenas_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static Arena *arenas;

static struct rlimit core_limit; /* what it was; set by the main thread before others are */
static bool has_core_limit;

void
bk_wipe(void *data, size_t size)
{
    if (size > 0) /* an empty buffer has no memory, and NULL is not allowed there */
        explicit_bzero(data, size);
}

void
bk_secret_clear(BkSecret *self)
{
    bk_wipe(self, sizeof *self);
}

static Arena *
add_arena(size_t size)
{
    Arena *arena = g_new0(Arena, 1);

    arena->size = MAX((size + ARENA_SIZE - 1) / ARENA_SIZE, 1) * ARENA_SIZE;
    arena->memory =
        mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena->memory == MAP_FAILED)
        g_error("no memory for a secret");
    /* Both as well as the system lets us: a limit, or an old kernel, must not end a backup. */
    (void)mlock(arena->memory, arena->size);
    (void)madvise(arena->memory, arena->size, MADV_DONTDUMP);
    arena->next = arenas;
    arenas = arena;
    return arena;
}

/* The first of `count` slots that are free; SLOTS: there are not so many. */
static size_t
find_slots(const Arena *arena, size_t count)
{
    size_t start = 0;

    while (start + count <= SLOTS) {
        size_t end = start;

        while (end < start + count && arena->taken[end] == 0)
            end++;
        if (end == start + count)
            return start;
        start = end + arena->taken[end];
    }
    return SLOTS;
}

void *
bk_secret_alloc(size_t size)
{
    const size_t count = MAX((size + SLOT_SIZE - 1) / SLOT_SIZE, 1);
    Arena *arena;
    size_t start = SLOTS;

    (void)pthread_mutex_lock(&arenas_mutex);
    for (arena = arenas; arena != NULL && count <= SLOTS; arena = arena->next) {
        start = arena->size == ARENA_SIZE ? find_slots(arena, count) : SLOTS;
        if (start < SLOTS)
            break;
    }
    if (start >= SLOTS) {
        arena = add_arena(count * SLOT_SIZE);
        start = 0;
    }
    arena->taken[start] = (uint16_t)MIN(count, SLOTS);
    (void)pthread_mutex_unlock(&arenas_mutex);
    return arena->memory + start * SLOT_SIZE;
}

static Arena **
find_arena(const uint8_t *memory)
{
    Arena **arena = &arenas;

    while (*arena != NULL &&
           (memory < (*arena)->memory || memory >= (*arena)->memory + (*arena)->size))
        arena = &(*arena)->next;
    return arena;
}

static void
drop_arena(Arena **at)
{
    Arena *arena = *at;

    *at = arena->next;
    (void)munmap(arena->memory, arena->size);
    g_free(arena);
}

void
bk_secret_free(void *memory)
{
    Arena **at;
    Arena *arena;
    size_t start;
    size_t left = 0;

    if (memory == NULL)
        return;
    (void)pthread_mutex_lock(&arenas_mutex);
    at = find_arena(memory);
    arena = *at;
    g_assert(arena != NULL);
    start = (size_t)((uint8_t *)memory - arena->memory) / SLOT_SIZE;
    g_assert(arena->taken[start] > 0);
    bk_wipe(memory, arena->size == ARENA_SIZE ? arena->taken[start] * SLOT_SIZE : arena->size);
    arena->taken[start] = 0;
    for (size_t i = 0; i < SLOTS; i++)
        left += arena->taken[i];
    if (left == 0)
        drop_arena(at);
    (void)pthread_mutex_unlock(&arenas_mutex);
}

char *
bk_secret_strdup(const char *text)
{
    char *copy = text != NULL ? bk_secret_alloc(strlen(text) + 1) : NULL;

    if (copy != NULL)
        memcpy(copy, text, strlen(text) + 1);
    return copy;
}

void
bk_secret_protect_process(void)
{
    struct rlimit none;

    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    has_core_limit = getrlimit(RLIMIT_CORE, &core_limit) == 0;
    if (!has_core_limit)
        return;
    none = (struct rlimit){0, core_limit.rlim_max};
    (void)setrlimit(RLIMIT_CORE, &none);
}

void
bk_secret_release_child(void)
{
    if (has_core_limit)
        (void)setrlimit(RLIMIT_CORE, &core_limit);
}

bool
bk_random_fill(void *data, size_t size, GError **error)
{
    uint8_t *next = data;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bk_throw_errno(error, "read random bytes");
        next += got;
        size -= (size_t)got;
    }
    return true;
}
