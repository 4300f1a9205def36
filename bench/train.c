/* train.c - training speed of number formats, interleaved step by step with fp32.

   bench_train --help lists the options.

   Each round trains one step of every format on the same pictures; the ratio is the median over the
   rounds of fp32's time to the format's. With --busy each format takes a step with all threads and
   one with a single one, beside a process that spins, and the ratio is that of their times: all
   threads should not be slower. On a machine of more than two processors: taskset -c 0,1. */
#define main mls_main /* the networks are those of the program */
#include "examples/mls/mls.c"
#undef main
#include "bench/bench.h"
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

/* A format with a number of threads. */
typedef struct candidate {
    const char *format;
    int threads;
    run run;
    bench_times times;
} candidate;

/* A process that keeps a processor busy while this one lives. */
static bool busy_neighbour(void)
{
#if defined(__unix__) || defined(__APPLE__)
    const pid_t parent = getpid(), child = fork();
    volatile unsigned i = 0;
    while (child == 0) {
        if (i++ % (1u << 22) == 0 && getppid() != parent) _exit(0);
    }
    return child > 0;
#else
    return false;
#endif
}

/* Trains a step on the pictures of a round and times it. */
static bool step_candidate(candidate *c, int round)
{
    run *r = &c->run;
    const int64_t batch = r->job->o.batch;
    const mls_sgd sgd = {0.01f, 0.9f, 5e-4f, 0};
    double start;
    mls_data_batch(&r->job->train, &r->job->augment, 1, 0, (round & 3) * batch, (int32_t)batch,
                   r->images, r->labels);
    bench_threads(c->threads);
    start = bench_now();
    if (mls_net_step(&r->net, r->images, r->labels, (int32_t)batch, &sgd, 0) != MLS_OK) {
        fprintf(stderr, "bench_train: %s\n", r->net.text);
        return false;
    }
    if (round >= 0) bench_add(&c->times, bench_now() - start);
    return true;
}

/* Images a second, the median and the best. */
static void print_speed(const candidate *c)
{
    const double batch = (double)c->run.job->o.batch;
    printf(" %12.0f (%9.0f)", batch / bench_median(c->times.seconds, c->times.count),
           batch / bench_best(c->times.seconds, c->times.count));
}

/* Each format beside fp32, which is the first. */
static void print_beside_fp32(const candidate *c, int count)
{
    printf("%-12s %24s %10s %12s\n", "format", "images/s, median (best)", "to fp32", "arena, MiB");
    for (int i = 0; i < count; i++) {
        printf("%-12s", c[i].format);
        print_speed(&c[i]);
        printf(" %10.2f %12.1f\n", bench_ratio(&c[0].times, &c[i].times),
               (double)c[i].run.plan.arena / (1 << 20));
    }
    printf("result");
    for (int i = 1; i < count; i++)
        printf(" %s=%.2f", c[i].format, bench_ratio(&c[0].times, &c[i].times));
    printf("\n");
}

/* Pairs: a format with all threads, and with one. */
static void print_busy(const candidate *c, int count)
{
    printf("beside a process that spins; images/s, median (best)\n");
    printf("%-12s %24s %24s %10s\n", "format", "one thread", "all threads", "ratio");
    for (int i = 0; i < count; i += 2) {
        printf("%-12s", c[i].format);
        print_speed(&c[i + 1]);
        print_speed(&c[i]);
        printf(" %10.2f\n", bench_ratio(&c[i + 1].times, &c[i].times));
    }
    printf("result busy");
    for (int i = 0; i < count; i += 2)
        printf(" %s=%.2f", c[i].format, bench_ratio(&c[i + 1].times, &c[i].times));
    printf("\n");
}

int main(int words_count, char **words)
{
    static const char *const formats[] = {"fp32",       "2,1:nc:2,0", "2,1:nc:3,1",
                                          "2,4:nc:3,1", "0,4:none",   "paper-2,1"};
    static const bench_word known[] = {
        {"--model NAME", "as mls train has them (resnet20)"},
        {"--batch N", "pictures of a step (128)"},
        {"--kernel NAME", "one of those that are here (auto)"},
        {"--threads N", "OpenMP threads (all processors)"},
        {"--rounds N", "steps of each format, whose median counts (15)"},
        {"--busy", "all threads against one, beside a process that spins"},
        {0, 0}};
    enum {
        FORMATS = sizeof formats / sizeof formats[0]
    };
    static candidate candidates[2 * FORMATS];
    static job j;
    failure f = {0};
    int rounds, threads = 1, count;
    bool busy;
    bench_words(words_count, words, "bench_train - training speed of number formats, beside fp32",
                known);
    rounds = bench_number(words_count, words, "--rounds", 15);
    busy = bench_flag(words_count, words, "--busy");
    count = busy ? 2 * FORMATS : FORMATS;
    default_options(&j.o);
    j.o.model = bench_option(words_count, words, "--model", "resnet20");
    j.o.batch = bench_number(words_count, words, "--batch", 128);
#ifdef _OPENMP
    threads = bench_number(words_count, words, "--threads", omp_get_max_threads());
#endif
    bench_kernel(bench_option(words_count, words, "--kernel", "auto"));
    if (!model_find(&j.model, j.o.model, (int32_t)j.o.width) ||
        !load_synthetic(&j.train, j.o.batch * 4, 0, &f) ||
        !load_synthetic(&j.test, j.o.batch, 1, &f) ||
        mls_data_normalise(&j.train, &j.augment) != MLS_OK) {
        fprintf(stderr, "bench_train: %s\n", f.text);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        candidate *c = &candidates[i];
        c->format = formats[busy ? i / 2 : i];
        c->threads = busy && i % 2 ? 1 : threads;
        bench_threads(c->threads);
        if (!open_run(&c->run, &j, c->format, 1, &f)) {
            fprintf(stderr, "bench_train: %s\n", f.text);
            return 1;
        }
    }
    if (busy && !busy_neighbour()) {
        fprintf(stderr, "bench_train: --busy: no process can be started\n");
        return 2;
    }
    for (int round = -2; round < rounds; round++) { /* the first two warm up */
        for (int i = 0; i < count; i++)
            if (!step_candidate(&candidates[i], round)) return 1;
    }
    printf("%s, batch %d, %d rounds, kernel %s, threads %d\n", j.o.model, (int)j.o.batch, rounds,
           mls_kernel_used(), candidates[0].run.net.threads);
    (busy ? print_busy : print_beside_fp32)(candidates, count);
    for (int i = 0; i < count; i++) close_run(&candidates[i].run);
    return 0;
}
