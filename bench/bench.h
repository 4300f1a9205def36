/* bench.h - timing for the benchmarks: many interleaved repeats, medians and best times. */
#ifndef BENCH_H_INCLUDED
#define BENCH_H_INCLUDED

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mls_conv.h"

/* Seconds, from some start. */
static inline double bench_now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum {
    BENCH_MOST = 1000
};

/* The times of one candidate. */
typedef struct bench_times {
    double seconds[BENCH_MOST];
    int count;
} bench_times;

static inline void bench_add(bench_times *t, double seconds)
{
    if (t->count < BENCH_MOST) t->seconds[t->count++] = seconds;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_median(const double *x, int count)
{
    double sorted[BENCH_MOST];
    if (count < 1) return 0;
    memcpy(sorted, x, (size_t)count * sizeof *x);
    qsort(sorted, (size_t)count, sizeof *sorted, bench_compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static inline double bench_best(const double *x, int count)
{
    double best = count ? x[0] : 0;
    for (int i = 1; i < count; i++) best = x[i] < best ? x[i] : best;
    return best;
}

/* Median of a[i] / b[i] of the same rounds: a neighbour's noise hits both alike. */
static inline double bench_ratio(const bench_times *a, const bench_times *b)
{
    double r[BENCH_MOST];
    int count = a->count < b->count ? a->count : b->count;
    for (int i = 0; i < count; i++) r[i] = a->seconds[i] / b->seconds[i];
    return bench_median(r, count);
}

/* Whether a slow candidate has been measured often enough for its share of the time. */
static inline int bench_enough(const bench_times *t)
{
    double sum = 0;
    for (int i = 0; i < t->count; i++) sum += t->seconds[i];
    return t->count >= 3 && sum > 1;
}

/* Calls for one measurement to take a millisecond, when one call takes so many seconds. */
static inline int bench_repeats(double seconds)
{
    double repeats = 1e-3 / (seconds > 1e-6 ? seconds : 1e-6);
    return repeats > 1 ? (int)repeats + 1 : 1;
}

typedef union bench_block {
    union bench_block *next;
    double align[8];
} bench_block;

static inline bench_block **bench_blocks(void)
{
    static bench_block *first;
    return &first;
}

/* Memory until bench_free. */
static inline void *bench_memory(size_t size)
{
    /* Lines of the cache begin with the memory, as the peer has it too. */
    size_t aligned = sizeof(bench_block);
    bench_block *b =
        (bench_block *)aligned_alloc(aligned, aligned + (size + aligned - 1) / aligned * aligned);
    if (!b) {
        fprintf(stderr, "no memory for %zu bytes\n", size);
        exit(1);
    }
    b->next = *bench_blocks();
    *bench_blocks() = b;
    return b + 1;
}

/* What bench_free takes to free the memory that is asked for from now on. */
static inline bench_block *bench_mark(void)
{
    return *bench_blocks();
}

static inline void bench_free(bench_block *mark)
{
    while (*bench_blocks() != mark) {
        bench_block *b = *bench_blocks();
        *bench_blocks() = b->next;
        free(b);
    }
}

/* What must not fail in a benchmark. */
static inline void bench_ok(mls_status status, const char *what)
{
    if (status == MLS_OK) return;
    fprintf(stderr, "%s: %s\n", what, mls_status_string(status));
    exit(1);
}

static inline size_t bench_elements(mls_shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static inline float *bench_floats(mls_shape s)
{
    return (float *)bench_memory(bench_elements(s) * sizeof(float));
}

static inline mls_format bench_format(const char *text)
{
    mls_format f;
    memset(&f, 0, sizeof f);
    if (mls_format_parse(&f, text) != MLS_OK) {
        fprintf(stderr, "%s: no such format\n", text);
        exit(2);
    }
    return f;
}

static inline mls_tensor bench_tensor(mls_format f, mls_shape s)
{
    mls_tensor t;
    size_t size = mls_tensor_size(f, s);
    bench_ok(mls_tensor_init(&t, f, s, bench_memory(size), size), "tensor");
    return t;
}

static inline mls_operand bench_operand(const mls_conv *c, mls_role role, mls_format f,
                                        int32_t bits)
{
    mls_operand o;
    size_t size = mls_operand_size(c, role, f, bits);
    bench_ok(mls_operand_init(&o, c, role, f, bits, bench_memory(size), size), "operand");
    return o;
}

static inline void bench_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

/* Numbers of a bell shape with a different spread in each of 64 channels, as layers have them. */
static inline void bench_fill(float *x, size_t count, uint64_t seed)
{
    uint64_t s = seed * 2654435761u + 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (int j = 0; j < 4; j++) {
            s ^= s << 13, s ^= s >> 7, s ^= s << 17;
            sum += (int32_t)(s >> 40 & 0xffff) - 32768;
        }
        x[i] = (float)sum / 65536.0f / (float)(1 + i % 64 / 8);
    }
}

/* The value behind option name in the words, or otherwise. */
static inline const char *bench_option(int count, char **words, const char *name,
                                       const char *otherwise)
{
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(words[i], name) == 0) return words[i + 1];
    }
    return otherwise;
}

static inline int bench_number(int count, char **words, const char *name, int otherwise)
{
    const char *text = bench_option(count, words, name, 0);
    char *end = 0;
    long value = text ? strtol(text, &end, 10) : otherwise;
    if (text && (end == text || *end || value < 1 || value > 1 << 30)) {
        fprintf(stderr, "%s %s: not a positive number\n", name, text);
        exit(2);
    }
    return (int)value;
}

static inline int bench_flag(int count, char **words, const char *name)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], name) == 0) return 1;
    }
    return 0;
}

/* An option, "--name VALUE", "--name [VALUE]" or "--name", and what it means. */
typedef struct bench_word {
    const char *name, *meaning;
} bench_word;

static inline void bench_help(const char *about, const bench_word *known, FILE *to)
{
    fprintf(to, "%s\n\n", about);
    for (; known->name; known++) fprintf(to, "  %-16s %s\n", known->name, known->meaning);
    fprintf(to, "  %-16s %s\n", "--help", "this text");
}

/* Ends the program unless all words are options with their values; on --help it says what they
   are. The list ends with a null name. */
static inline void bench_words(int count, char **words, const char *about, const bench_word *known)
{
    for (int i = 1; i < count; i++) {
        size_t size = strlen(words[i]);
        const bench_word *o = known;
        const char *end;
        int value = i + 1 < count && strncmp(words[i + 1], "--", 2) != 0;
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
            bench_help(about, known, stdout);
            exit(0);
        }
        while (o->name &&
               (strncmp(o->name, words[i], size) != 0 || (o->name[size] && o->name[size] != ' '))) {
            o++;
        }
        end = o->name ? o->name + size : "";
        if (!o->name || (*end && !value && end[1] != '[')) {
            fprintf(stderr, "%s: %s (see --help)\n", words[i],
                    o->name ? "its value is missing" : "no such option");
            exit(2);
        }
        if (*end) i += value;
    }
}

/* Uses the kernel of that name; ends the program with a list of those that are here. */
static inline void bench_kernel(const char *name)
{
    if (mls_kernel_use(name) == MLS_OK) return;
    fprintf(stderr, "--kernel %s: not here; there are auto", name);
    for (int i = 0; i < mls_kernel_count(); i++) fprintf(stderr, " %s", mls_kernel_name(i));
    fprintf(stderr, "\n");
    exit(2);
}

/* The threads to use: 1 unless an option says more. */
static inline int bench_thread_option(int count, char **words)
{
    int threads = bench_number(count, words, "--threads", 1);
#ifndef _OPENMP
    if (threads > 1) {
        fprintf(stderr, "--threads %d: built without OpenMP\n", threads);
        exit(2);
    }
#endif
    return threads;
}

/* The file of option name, "-" and no value meaning standard output; null without the option. */
static inline FILE *bench_file(int count, char **words, const char *name)
{
    const char *path = bench_option(count, words, name, "-");
    FILE *file;
    if (!bench_flag(count, words, name)) return 0;
    if (strcmp(path, "-") == 0 || strncmp(path, "--", 2) == 0) return stdout;
    file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "%s %s: cannot write\n", name, path);
        exit(2);
    }
    return file;
}

/* The number of the text in the list; ends the program if it is not there. */
static inline int bench_choice(const char *name, const char *text, const char *const *list,
                               int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, list[i]) == 0) return i;
    }
    fprintf(stderr, "%s %s: not one of", name, text);
    for (int i = 0; i < count; i++) fprintf(stderr, " %s", list[i]);
    fprintf(stderr, "\n");
    exit(2);
}

#endif
