/* bench.h - timing for the benchmarks: many interleaved repeats, medians and best times. */
#ifndef BENCH_H_INCLUDED
#define BENCH_H_INCLUDED

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Memory that is never freed: the program ends soon. */
static inline void *bench_memory(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p) {
        fprintf(stderr, "no memory for %zu bytes\n", size);
        exit(1);
    }
    return p;
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
    int value = text ? atoi(text) : otherwise;
    if (text && value < 1) {
        fprintf(stderr, "%s %s: not a positive number\n", name, text);
        exit(2);
    }
    return value;
}

#endif
