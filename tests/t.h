/* t.h - a small test harness: needs stdio, stdlib and string only, so it also runs on bare targets.

       #include "t.h"
       static void adds(void) { T_EQ_INT(1 + 1, 2); }
       static void has_net(void) { if (!net()) T_SKIP("no network"); ... }
       T_MAIN(T_TEST(adds), T_TEST(has_net))

   A check that fails is printed and the test goes on; T_REQUIRE returns from the test function.
   Words on the command line choose the tests whose names contain one of them; -l lists the names.
   The last line of output is "N passed, N failed", with ", N skipped" if there were any: test
   functions are counted, not checks. The exit code is 1 if a test failed or none was chosen. */
#ifndef T_H_INCLUDED
#define T_H_INCLUDED

/* 1 under the address sanitizer, where tests take fewer cases. */
#if defined(__SANITIZE_ADDRESS__)
#define T_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define T_SLOW 1
#endif
#endif
#ifndef T_SLOW
#define T_SLOW 0
#endif

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if (defined(__unix__) || defined(__APPLE__)) && !defined(T_NO_MMAP)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#define T_GUARD_PAGES 1
#else
#define T_GUARD_PAGES 0
#endif

#define T_CHECK(x)        ((x) ? (void)0 : t_fail(__FILE__, __LINE__, "%s", #x))
#define T_EQ_INT(a, b)    t_eq_int(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))
#define T_EQ_MEM(a, b, n) t_eq_mem(__FILE__, __LINE__, #a " == " #b, (a), (b), (n))
#define T_REQUIRE(x)                              \
    do {                                          \
        if (!(x)) {                               \
            t_fail(__FILE__, __LINE__, "%s", #x); \
            return;                               \
        }                                         \
    } while (0)
#define T_SKIP(reason)           \
    do {                         \
        t_state.skip = (reason); \
        return;                  \
    } while (0)
/* clang-format off */
#define T_TEST(function) {#function, function}
/* clang-format on */
#define T_MAIN(...)                                                             \
    int main(int argc, char **argv)                                             \
    {                                                                           \
        static const t_test tests[] = {__VA_ARGS__};                            \
        return t_run(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv); \
    }

typedef struct t_test {
    const char *name;
    void (*run)(void);
} t_test;

static struct {
    int failures;     /* of the running test */
    const char *skip; /* the reason, if it was skipped */
    char note[256];   /* printed with every failure */
} t_state;

/* What the checks that follow are about: a format, a shape, a seed. Cleared before each test. */
static inline void t_note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(t_state.note, sizeof t_state.note, format, list);
    va_end(list);
}

static inline void t_fail(const char *file, int line, const char *format, ...)
{
    va_list list;
    if (++t_state.failures > 5) return; /* the first ones tell what is wrong */
    printf("\n    %s:%d: ", file, line);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    if (t_state.note[0]) printf("  [%s]", t_state.note);
    fflush(stdout);
#ifdef T_STOP
    exit(1); /* mutants.sh: one failure is enough */
#endif
}

static inline void t_eq_int(const char *file, int line, const char *what, long long a, long long b)
{
    if (a != b) t_fail(file, line, "%s: %lld, not %lld", what, a, b);
}

static inline void t_eq_mem(const char *file, int line, const char *what, const void *a,
                            const void *b, size_t size)
{
    const unsigned char *p = (const unsigned char *)a, *q = (const unsigned char *)b;
    size_t i = 0, differ = 0;
    if (size == 0 || memcmp(a, b, size) == 0) return;
    while (p[i] == q[i]) i++;
    for (size_t j = i; j < size; j++) differ += p[j] != q[j];
    t_fail(file, line, "%s: byte %lu of %lu is 0x%02x, not 0x%02x; %lu bytes differ", what,
           (unsigned long)i, (unsigned long)size, p[i], q[i], (unsigned long)differ);
}

static inline int t_run(const t_test *tests, int count, int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0, list = argc > 1 && strcmp(argv[1], "-l") == 0;
    if (argc > 1 && !list && argv[1][0] == '-') {
        int help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        if (help)
            puts("usage: test [-l] [NAME ...]    NAMEs choose tests by a part, -l lists them");
        else
            fprintf(stderr, "%s: no such option (see --help)\n", argv[1]);
        return help ? 0 : 2;
    }
    for (int i = 0; i < count; i++) {
        int chosen = argc < 2 || list;
        for (int j = 1; j < argc; j++) chosen |= strstr(tests[i].name, argv[j]) != NULL;
        if (!chosen) continue;
        printf("%s%s", tests[i].name, list ? "\n" : " ");
        if (list) continue;
        fflush(stdout); /* the name is out before a crash */
        memset(&t_state, 0, sizeof t_state);
        tests[i].run();
        if (t_state.failures) {
            printf("\n    FAILED, %d checks\n", t_state.failures), failed++;
        } else if (t_state.skip) {
            printf("skipped: %s\n", t_state.skip), skipped++;
        } else {
            printf("ok\n"), passed++;
        }
    }
    if (list) return 0;
    if (passed + failed + skipped == 0) printf("no test has such a name\n");
    printf("%d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed || passed + skipped == 0;
}

/* Random numbers of the tests (splitmix64): the same everywhere. Start with any state. */
static inline uint64_t t_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 .. n - 1; n is small, so the bias of the remainder does not matter. */
static inline int t_below(uint64_t *state, int n)
{
    return (int)((t_random(state) >> 33) % (uint64_t)n);
}

/* A multiple of 2^-23 in [-1, 1). */
static inline float t_uniform(uint64_t *state)
{
    return (float)((int32_t)(t_random(state) >> 40) - (1 << 23)) / (float)(1 << 23);
}

/* Memory between two inaccessible pages, where the host has such a thing, else plain malloc: a
   read or write behind the end (T_BACK) or before the start (T_FRONT) crashes at once. It is filled
   with 0xa5. T_BACK gives the alignment that size has. Free with t_free. */
enum {
    T_BACK,
    T_FRONT,
    T_BLOCKS = 64 /* alive at a time */
};
static struct t_block {
    unsigned char *memory, *base;
    size_t length;
} t_blocks[T_BLOCKS];

static inline void *t_alloc_at(size_t size, int side)
{
    struct t_block b = {NULL, NULL, size + 1};
    int slot = 0;
    while (slot < T_BLOCKS && t_blocks[slot].memory) slot++;
#if T_GUARD_PAGES
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (size / page + 1) * page;
    int zero = open("/dev/zero", O_RDWR); /* MAP_ANONYMOUS is hidden under -std=c11 */
    b.length = inside + 2 * page;
    void *map = mmap(NULL, b.length, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    if (zero >= 0) close(zero);
    if (map != MAP_FAILED) {
        b.base = (unsigned char *)map;
        b.memory = b.base + page + (side == T_BACK ? inside - size : 0);
        if (mprotect(b.base, page, PROT_NONE) || mprotect(b.base + page + inside, page, PROT_NONE))
            slot = T_BLOCKS;
    }
#else
    (void)side;
    b.base = b.memory = (unsigned char *)malloc(b.length);
#endif
    if (slot == T_BLOCKS || !b.memory) {
        printf("\nt_alloc: no memory, or more than %d blocks\n", T_BLOCKS);
        exit(1);
    }
    t_blocks[slot] = b;
    memset(b.memory, 0xa5, size);
    return b.memory;
}

static inline void *t_alloc(size_t size)
{
    return t_alloc_at(size, T_BACK);
}

static inline void t_free(void *memory)
{
    for (int i = 0; i < T_BLOCKS && memory; i++) {
        if (t_blocks[i].memory != memory) continue;
#if T_GUARD_PAGES
        munmap(t_blocks[i].base, t_blocks[i].length);
#else
        free(t_blocks[i].base);
#endif
        t_blocks[i].memory = NULL;
        return;
    }
}

#endif /* T_H_INCLUDED */
