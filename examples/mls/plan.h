/* plan.h - mls plan: layers, memory, and an estimate of the time */
#ifndef PROGRAM_PLAN_H_INCLUDED
#define PROGRAM_PLAN_H_INCLUDED

#include "progress.h"

/* A number format without what all layers share: fp32, or E,M. */
static const char *short_format(mls_format f, char *text, size_t size)
{
    if (!is_low(f)) return "fp32";
    snprintf(text, size, "%d,%d", f.ex, f.mx);
    return text;
}

/* The format of a role in its second product, where zero means: as in the first. */
static mls_format in_second(mls_format first, mls_format second)
{
    const mls_format zero = {0};
    return memcmp(&second, &zero, sizeof zero) ? second : first;
}

/* A product is in integers when both of its operands are: that of weights and activations forward,
   of weights and errors backward, of activations and errors for the gradient of the weights. */
static void add_products(const mls_formats *f, double macs, double *low)
{
    mls_format w = in_second(f->weight, f->weight_in_data);
    mls_format a = in_second(f->activation, f->activation_in_weight);
    mls_format e = in_second(f->error, f->error_in_weight);
    low[0] += is_low(f->weight) && is_low(f->activation) ? macs : 0;
    low[1] += is_low(w) && is_low(f->error) ? macs : 0;
    low[2] += is_low(a) && is_low(e) ? macs : 0;
}

static void print_formats(const mls_formats *f)
{
    const mls_format formats[] = {f->weight,         f->activation,           f->error,
                                  f->weight_in_data, f->activation_in_weight, f->error_in_weight};
    static const char *const names[] = {"\nW, weights    ", "A, activations", "E, errors     ",
                                        "W, backward   ",   "A, gradient   ", "E, gradient   "};
    for (int i = 0; i < 6; i++) {
        const mls_format zero = {0};
        char text[MLS_FORMAT_TEXT];
        if (i >= 3 && memcmp(&formats[i], &zero, sizeof zero) == 0) continue;
        mls_format_text(formats[i], text, sizeof text);
        printf("%s  %s\n", names[i], text);
    }
}

static void print_layers(const run *r)
{
    double all = 0, low[3] = {0};
    printf("%4s %-12s %-11s %9s %11s  %-5s %-5s %s\n", "node", "kind", "output", "weights", "MACs",
           "W", "A", "E");
    for (int32_t i = 0; i < r->net.count; i++) {
        mls_layer l;
        char shape[40], text[3][8];
        if (mls_net_layer(&r->net, i, &l) != MLS_OK) continue;
        double macs = (double)l.macs;
        all += macs;
        add_products(&l.formats, macs, low);
        snprintf(shape, sizeof shape, "%dx%dx%d", (int)l.shape.h, (int)l.shape.w, (int)l.shape.c);
        printf(l.weights || l.macs ? "%4d %-12s %-11s" : "%4d %-12s %s", (int)i, l.kind, shape);
        if (l.weights) printf(" %9lld", (long long)l.weights);
        if (l.macs) {
            printf(" %11lld  %-5s %-5s %s", (long long)l.macs,
                   short_format(l.formats.weight, text[0], sizeof text[0]),
                   short_format(l.formats.activation, text[1], sizeof text[1]),
                   short_format(l.formats.error, text[2], sizeof text[2]));
        }
        printf("\n");
    }
    print_formats(&r->formats);
    printf("in integers     %.1f %% of forward, %.1f %% of backward, %.1f %% of gradient MACs\n",
           100 * ratio(low[0], all), 100 * ratio(low[1], all), 100 * ratio(low[2], all));
}

/* Seconds of the median of three steps on random numbers, after one to warm up; below 0: failed. */
static double time_step(run *r, failure *f)
{
    double t[4] = {0}, high, low;
    int32_t batch = (int32_t)r->job->o.batch;
    const sides size = r->job->o.size;
    const int64_t numbers = (int64_t)batch * size.h * size.w * channels_of(&r->job->o);
    const mls_sgd sgd = {1e-3f, 0.9f, 5e-4f, 0};
    for (int i = 0; i < 4; i++) {
        for (int64_t k = 0; k < numbers; k++) {
            r->images[k] = (float)mls_random16((uint64_t)i, (uint64_t)k) / 32768.0f - 1;
        }
        for (int32_t k = 0; k < batch; k++) r->labels[k] = k % r->job->test.classes;
        t[i] = now();
        if (mls_net_step(&r->net, r->images, r->labels, batch, &sgd, NULL) != MLS_OK) {
            return fail(f, 1, "%s", r->net.text), -1;
        }
        t[i] = now() - t[i];
    }
    high = fmax(t[1], fmax(t[2], t[3])), low = fmin(t[1], fmin(t[2], t[3]));
    return t[1] + t[2] + t[3] - high - low;
}

static bool plan_one(const job *j, const char *spec, failure *f)
{
    run r;
    const mls_plan *p = &r.plan;
    bool good = open_run(&r, j, spec, j->o.seed, f);
    if (good) {
        announce(&r);
        print_layers(&r);
        printf("trained         %lld numbers", (long long)(p->weights - p->frozen));
        if (p->frozen) printf(", %lld are frozen", (long long)p->frozen);
        printf("\n");
        printf("MACs            %lld an image forward\n", (long long)p->macs);
        printf("arena           %zu bytes:\n", p->arena);
        printf("                parameters %zu, values %zu, scratch %zu\n", p->parameters,
               p->values, p->scratch);
        printf("batch           %lld pictures, %lld batches an epoch\n", (long long)j->o.batch,
               (long long)r.batches);
        fflush(stdout);
        double seconds = time_step(&r, f), epoch = seconds * (double)r.batches;
        good = seconds >= 0;
        if (good) {
            printf("estimated       %.0f images/s, %.1f s an epoch, %.1f min for %lld epochs\n"
                   "                (3 steps timed; without tests)\n",
                   ratio((double)j->o.batch, seconds), epoch, epoch * (double)j->o.epochs / 60,
                   (long long)j->o.epochs);
        }
    }
    close_run(&r);
    return good;
}

static bool plan(const job *j, failure *f)
{
    for (int i = 0; i < j->formats.count; i++) {
        if (!plan_one(j, j->formats.of[i], f)) return false;
    }
    return true;
}

#endif /* PROGRAM_PLAN_H_INCLUDED */
