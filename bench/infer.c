/* infer.c - speed of inference: pictures one by one and in batches, by network and number format.

   bench_infer --help lists the options.

   Networks are planned for inference and have their first weights: their speed does not depend on what
   they learned. Each round takes every candidate once; the ratio is the median over the rounds of
   fp32's time to the format's. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"
#include "examples/models.h"

typedef struct candidate {
    const char *format;
    int32_t batch;
    mls_net net;
    float *images;
    int repeats;
    bench_times times;
} candidate;

static void open_candidate(candidate *c, const model *m)
{
    mls_net_desc desc;
    mls_plan plan;
    mls_shape pictures;
    void *arena;
    memset(&desc, 0, sizeof desc);
    desc.batch = c->batch, desc.seed = 1, desc.inference = 1;
    bench_ok(mls_formats_parse(&desc.formats, c->format, 0, 0), c->format);
    mls_net_begin(&c->net, &desc, (mls_node *)bench_memory((size_t)m->nodes * sizeof(mls_node)),
                  m->nodes);
    m->build(&c->net, m);
    bench_ok(mls_net_plan(&c->net, &plan), c->net.text);
    arena = bench_memory(plan.arena);
    bench_ok(mls_net_bind(&c->net, arena, plan.arena), c->net.text);
    pictures.n = c->batch, pictures.h = m->h, pictures.w = m->w, pictures.c = m->c;
    c->images = bench_floats(pictures);
    bench_fill(c->images, bench_elements(pictures), 1);
    c->repeats = 1;
}

static int by_processor; /* what is timed */

static double now(void)
{
    return by_processor ? (double)clock() / CLOCKS_PER_SEC : bench_now();
}

/* Seconds of a call. */
static double time_candidate(candidate *c)
{
    double start = now();
    for (int i = 0; i < c->repeats; i++) {
        bench_ok(mls_net_evaluate(&c->net, c->images, 0, c->batch, 0), c->net.text);
    }
    return (now() - start) / c->repeats;
}

int main(int count, char **words)
{
    static const char *const formats[] = {"fp32", "2,1:nc:2,0", "2,4:nc:3,1"};
    static const bench_word known[] = {
        {"--model NAME", "as mls train has them (resnet20)"},
        {"--side N", "height and width of the pictures (32)"},
        {"--width N", "channels of the first stage (the network's own)"},
        {"--batch N", "pictures of a batch, beside single ones (128)"},
        {"--classes N", "(10)"},
        {"--kernel NAME", "one of those that are here (auto)"},
        {"--threads N", "OpenMP threads (1)"},
        {"--rounds N", "measurements of each, whose median counts (15)"},
        {"--clock NAME", "wall, or processor: its time, beside other work (wall)"},
        {0, 0}};
    enum {
        FORMATS = sizeof formats / sizeof formats[0]
    };
    static candidate all[2 * FORMATS];
    const char *name;
    model m;
    int rounds, batch;
    bench_words(count, words, "bench_infer - speed of inference by number format", known);
    name = bench_option(count, words, "--model", "resnet20");
    rounds = bench_number(count, words, "--rounds", 15);
    batch = bench_number(count, words, "--batch", 128);
    if (!model_find(&m, name, bench_number(count, words, "--width", 0))) {
        fprintf(stderr, "--model %s: not one of %s\n", name, MODEL_NAMES);
        return 2;
    }
    m.h = m.w = bench_number(count, words, "--side", 32), m.c = 3;
    m.classes = bench_number(count, words, "--classes", 10);
    bench_kernel(bench_option(count, words, "--kernel", "auto"));
    bench_threads(bench_thread_option(count, words));
    by_processor = strcmp(bench_option(count, words, "--clock", "wall"), "processor") == 0;
    for (int i = 0; i < 2 * FORMATS; i++) {
        all[i].format = formats[i % FORMATS], all[i].batch = i < FORMATS ? 1 : batch;
        open_candidate(&all[i], &m);
    }
    for (int round = -1; round < rounds; round++) {
        for (int i = 0; i < 2 * FORMATS; i++) {
            double seconds = time_candidate(&all[i]);
            if (round < 0) all[i].repeats = bench_repeats(seconds) * 4;
            if (round >= 0) bench_add(&all[i].times, seconds);
        }
    }
    printf("%s, %d x %d, kernel %s\n%-12s %6s %26s %16s %8s\n", name, (int)m.h, (int)m.w,
           mls_kernel_used(), "format", "batch", "ms a picture, median (best)", "pictures/s",
           "to fp32");
    for (int i = 0; i < 2 * FORMATS; i++) {
        const bench_times *t = &all[i].times;
        double median = bench_median(t->seconds, t->count) / all[i].batch;
        printf("%-12s %6d %14.3f (%9.3f) %16.0f %8.2f\n", all[i].format, (int)all[i].batch,
               median * 1e3, bench_best(t->seconds, t->count) / all[i].batch * 1e3, 1 / median,
               bench_ratio(&all[i / FORMATS * FORMATS].times, t));
    }
    printf("result model=%s", name);
    for (int i = 0; i < 2 * FORMATS; i++) {
        printf(" %s/%d=%.4f", all[i].format, (int)all[i].batch,
               bench_best(all[i].times.seconds, all[i].times.count) / all[i].batch * 1e3);
    }
    printf("\n");
    bench_free(0);
    return 0;
}
