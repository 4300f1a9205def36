/* train.c - training speed of number formats, interleaved step by step with fp32.

   bench_train --help lists the options.

   Each round trains one step of every format on the same pictures; the ratio is the median over the
   rounds of fp32's time to the format's. */
#define main mls_main /* the networks are those of the program */
#include "examples/mls/mls.c"
#undef main
#include "bench/bench.h"

int main(int count, char **words)
{
    static const char *const formats[] = {"fp32",       "2,1:nc:2,0", "2,1:nc:3,1",
                                          "2,4:nc:3,1", "0,4:none",   "paper-2,1"};
    static const bench_word known[] = {
        {"--model NAME", "as mls train has them (resnet20)"},
        {"--batch N", "pictures of a step (128)"},
        {"--kernel NAME", "one of those that are here (auto)"},
        {"--threads N", "OpenMP threads (all processors)"},
        {"--rounds N", "steps of each format, whose median counts (15)"},
        {0, 0}};
    enum {
        FORMATS = sizeof formats / sizeof formats[0]
    };
    static run runs[FORMATS];
    static bench_times times[FORMATS];
    static job j;
    failure f = {0};
    int rounds;
    bench_words(count, words, "bench_train - training speed of number formats, beside fp32", known);
    rounds = bench_number(count, words, "--rounds", 15);
    default_options(&j.o);
    j.o.model = bench_option(count, words, "--model", "resnet20");
    j.o.batch = bench_number(count, words, "--batch", 128);
#ifdef _OPENMP
    omp_set_num_threads(bench_number(count, words, "--threads", omp_get_max_threads()));
#endif
    bench_kernel(bench_option(count, words, "--kernel", "auto"));
    if (!model_resnet_named(&j.model, j.o.model, (int32_t)j.o.width) ||
        !load_synthetic(&j.train, j.o.batch * 4, 0, &f) ||
        !load_synthetic(&j.test, j.o.batch, 1, &f) ||
        mls_data_normalise(&j.train, &j.augment) != MLS_OK) {
        fprintf(stderr, "bench_train: %s\n", f.text);
        return 2;
    }
    for (int i = 0; i < FORMATS; i++) {
        if (!open_run(&runs[i], &j, formats[i], 1, &f)) {
            fprintf(stderr, "bench_train: %s\n", f.text);
            return 1;
        }
    }
    for (int round = -2; round < rounds; round++) { /* the first two warm up */
        for (int i = 0; i < FORMATS; i++) {
            run *r = &runs[i];
            mls_sgd sgd = {0.01f, 0.9f, 5e-4f, 0};
            double start;
            mls_data_batch(&j.train, &j.augment, 1, 0, (round & 3) * j.o.batch, (int32_t)j.o.batch,
                           r->images, r->labels);
            start = bench_now();
            if (mls_net_step(&r->net, r->images, r->labels, (int32_t)j.o.batch, &sgd, 0) !=
                MLS_OK) {
                fprintf(stderr, "bench_train: %s\n", r->net.text);
                return 1;
            }
            if (round >= 0) bench_add(&times[i], bench_now() - start);
        }
    }
    printf("%s, batch %d, %d rounds, kernel %s, threads %d\n", j.o.model, (int)j.o.batch, rounds,
           mls_kernel_used(), runs[0].net.threads);
    printf("%-12s %24s %10s %12s\n", "format", "images/s, median (best)", "to fp32", "arena, MiB");
    for (int i = 0; i < FORMATS; i++) {
        const bench_times *t = &times[i];
        printf("%-12s %12.0f (%9.0f) %10.2f %12.1f\n", formats[i],
               (double)j.o.batch / bench_median(t->seconds, t->count),
               (double)j.o.batch / bench_best(t->seconds, t->count), bench_ratio(&times[0], t),
               (double)runs[i].plan.arena / (1 << 20));
    }
    printf("result");
    for (int i = 1; i < FORMATS; i++)
        printf(" %s=%.2f", formats[i], bench_ratio(&times[0], &times[i]));
    printf("\n");
    for (int i = 0; i < FORMATS; i++) close_run(&runs[i]);
    return 0;
}
